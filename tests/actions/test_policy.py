"""Domain section 4, row by row, and what may only ever tighten it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actioncenter.actions import policy
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area
from actioncenter.actions.policy import Facts, Outcome, OutcomeKind, decide, strictest
from actioncenter.settings.enums import AutomationLevel, FolderClass, IndicatorEffect
from investigations.enums import Verdict

AUTO, APPROVAL, NONE, NOT_RUN = "auto", "approval", "none", "not_run"
DEVICE, EMAIL = Area.DEVICE, Area.EMAIL
MALICIOUS, SUSPICIOUS = Verdict.MALICIOUS, Verdict.SUSPICIOUS
CLEAN, UNKNOWN = Verdict.NO_THREATS_FOUND, Verdict.UNKNOWN
L, F = AutomationLevel, FolderClass
RUNNING_LEVELS = [level for level in L if level != L.NONE]
BLOCKING = [IndicatorEffect.BLOCK, IndicatorEffect.BLOCK_AND_REMEDIATE]
FOLDER_LEVELS = [L.SEMI_CORE, L.SEMI_NONTEMP]

# (row, area, verdicts, levels, folder classes, outcome), copied from the specification.
ROWS: list[tuple[int, Area, list[Verdict], Sequence[AutomationLevel | None], list[FolderClass], str]] = [
    (1, DEVICE, [MALICIOUS], [L.FULL], list(F), AUTO),
    (2, DEVICE, [SUSPICIOUS], [L.FULL], list(F), APPROVAL),
    (3, DEVICE, [MALICIOUS], [L.SEMI_ALL], list(F), APPROVAL),
    (4, DEVICE, [SUSPICIOUS], [L.SEMI_ALL], list(F), APPROVAL),
    (5, DEVICE, [MALICIOUS], [L.SEMI_CORE], [F.CORE, F.UNRESOLVABLE], APPROVAL),
    (6, DEVICE, [MALICIOUS], [L.SEMI_CORE], [F.OTHER, F.TEMP, F.NO_PATH], AUTO),
    (7, DEVICE, [SUSPICIOUS], [L.SEMI_CORE], list(F), APPROVAL),
    (8, DEVICE, [MALICIOUS], [L.SEMI_NONTEMP], [F.TEMP], AUTO),
    (9, DEVICE, [MALICIOUS], [L.SEMI_NONTEMP], [F.CORE, F.OTHER, F.NO_PATH, F.UNRESOLVABLE], APPROVAL),
    (10, DEVICE, [SUSPICIOUS], [L.SEMI_NONTEMP], list(F), APPROVAL),
    (11, DEVICE, [CLEAN], RUNNING_LEVELS, list(F), NONE),
    (12, DEVICE, list(Verdict), [L.NONE], list(F), NOT_RUN),
    (13, EMAIL, [MALICIOUS], [None, *L], list(F), APPROVAL),
    (14, EMAIL, [SUSPICIOUS], [None, *L], list(F), APPROVAL),
    (15, EMAIL, [CLEAN], [None, *L], list(F), NONE),
    (17, DEVICE, [UNKNOWN], [None, *RUNNING_LEVELS], list(F), NONE),
    (17, EMAIL, [UNKNOWN], [None, *L], list(F), NONE),
]
CASES: list[tuple[int, Facts, str]] = [
    (row, Facts(area, verdict, level, folder), outcome)
    for row, area, verdicts, levels, folders, outcome in ROWS
    for verdict in verdicts
    for level in levels
    for folder in folders
]

AUTOMATIC = Facts(DEVICE, MALICIOUS, L.FULL, F.OTHER, ActionType.QUARANTINE_FILE)
TIGHTENED: dict[str, dict[str, Any]] = {
    "critical_device": {"critical": True},
    "offboard": {"action_type": ActionType.OFFBOARD_DEVICE},
    "mail_action": {"action_type": ActionType.BLOCK_URL},
    "identity_unsure": {"identity_confidence": 74},
    "membership_stale": {"membership_stale": True},
    "altered_text": {"altered": True},
    "irreversible": {"reversible": False},
    "rejected_before": {"rejected_before": "Mira Chen"},
    "no_route": {"routable": False},
    "breaker_open": {"breaker_open": True},
    "rail_reached": {"over_cap": True},
}


@pytest.mark.parametrize(("row", "facts", "outcome"), CASES)
def test_assertion_01_each_row_of_the_table(row: int, facts: Facts, outcome: str) -> None:
    decided = decide(facts)
    assert (decided.kind, decided.row) == (outcome, row)


def test_assertion_01_the_rows_leave_no_gap() -> None:
    covered = {(facts.area, facts.verdict, facts.level, facts.folder_class) for _, facts, _ in CASES}
    assert covered >= set(product([DEVICE], Verdict, L, F)) | set(product([EMAIL], Verdict, [None, *L], F))


@pytest.mark.parametrize("folder", F)
def test_row_16_a_compromised_account_runs_by_itself(folder: FolderClass) -> None:
    decided = decide(Facts(DEVICE, MALICIOUS, None, folder, user_compromised=True))
    assert (decided.kind, decided.row, decided.code) == (AUTO, 16, "user_compromised")


def test_row_16_does_not_lift_the_level_of_a_device() -> None:
    assert decide(Facts(DEVICE, MALICIOUS, L.SEMI_ALL, user_compromised=True)).row == 3


@pytest.mark.parametrize("verdict", [SUSPICIOUS, MALICIOUS])
@pytest.mark.parametrize("level", RUNNING_LEVELS)
def test_row_18_an_expansion_waits_wherever_automation_runs(level: AutomationLevel, verdict: Verdict) -> None:
    decided = decide(Facts(DEVICE, verdict, level, F.TEMP, ActionType.EXPAND_PIVOT, expansion=True))
    assert (decided.kind, decided.row, decided.code) == (APPROVAL, 18, "expansion")


def test_row_18_no_expansion_where_automation_does_not_run() -> None:
    assert decide(Facts(DEVICE, MALICIOUS, L.NONE, expansion=True)).row == 12


def test_every_row_of_the_specification_is_in_the_table() -> None:
    assert {row.number for row in policy.TABLE} == set(range(1, 19))


@pytest.mark.parametrize("level", L)
def test_assertion_03_email_waits_whatever_the_level(level: AutomationLevel) -> None:
    facts = Facts(EMAIL, MALICIOUS, level, action_type=ActionType.SOFT_DELETE_EMAIL)
    assert decide(facts).kind == APPROVAL


@pytest.mark.parametrize("verdict", Verdict)
def test_assertion_04_none_proposes_nothing_on_a_device(verdict: Verdict) -> None:
    assert decide(Facts(DEVICE, verdict, L.NONE)).kind == NOT_RUN


@pytest.mark.parametrize(("area", "level"), list(product(Area, [None, *L])))
def test_assertion_05_suspicious_never_runs_without_a_person(
    area: Area, level: AutomationLevel | None
) -> None:
    for folder, kind, compromised in product(F, [None, *ActionType], [False, True]):
        facts = Facts(area, SUSPICIOUS, level, folder, kind, user_compromised=compromised)
        assert decide(facts).kind in {APPROVAL, NOT_RUN}


@pytest.mark.parametrize(("area", "level"), list(product(Area, RUNNING_LEVELS)))
def test_assertion_06_no_threats_found_creates_nothing(area: Area, level: AutomationLevel) -> None:
    assert decide(Facts(area, CLEAN, level, expansion=True)).kind == NONE


@pytest.mark.parametrize(("area", "verdict"), list(product(Area, Verdict)))
def test_assertion_07_an_allow_indicator_suppresses(area: Area, verdict: Verdict) -> None:
    decided = decide(Facts(area, verdict, L.FULL, indicator=IndicatorEffect.ALLOW))
    assert (decided.kind, decided.code) == (NONE, "indicator_allow")


@pytest.mark.parametrize("effect", BLOCKING)
@pytest.mark.parametrize("verdict", Verdict)
def test_assertion_07_a_block_indicator_forces_malicious(verdict: Verdict, effect: IndicatorEffect) -> None:
    decided = decide(Facts(DEVICE, verdict, L.FULL, indicator=effect))
    assert (decided.kind, decided.row) == (AUTO, 1)
    assert decided.params["verdict"] == "malicious"


@pytest.mark.parametrize("effect", [IndicatorEffect.AUDIT, IndicatorEffect.WARN])
@pytest.mark.parametrize("verdict", Verdict)
def test_other_indicators_change_nothing(verdict: Verdict, effect: IndicatorEffect) -> None:
    facts = Facts(DEVICE, verdict, L.FULL)
    assert decide(replace(facts, indicator=effect)).row == decide(facts).row


def test_an_exclusion_comes_before_an_indicator() -> None:
    decided = decide(replace(AUTOMATIC, excluded=True, indicator=IndicatorEffect.BLOCK))
    assert (decided.kind, decided.code) == (NONE, "excluded_folder")


def test_the_tightening_cases_are_complete() -> None:
    assert set(TIGHTENED) == set(policy.TIGHTENING)
    assert decide(AUTOMATIC).kind == AUTO


@pytest.mark.parametrize("code", TIGHTENED)
def test_tightening_turns_auto_into_approval_and_says_why(code: str) -> None:
    decided = decide(replace(AUTOMATIC, **TIGHTENED[code]))
    assert (decided.kind, decided.code, decided.row) == (APPROVAL, code, 1)


@pytest.mark.parametrize("code", TIGHTENED)
def test_where_the_table_asks_already_tightening_is_only_mentioned(code: str) -> None:
    decided = decide(replace(AUTOMATIC, level=L.SEMI_ALL, **TIGHTENED[code]))
    assert decided.code == "semi_all_malicious"
    also = decided.params["also"]
    assert isinstance(also, list)
    assert code in also


@pytest.mark.parametrize("code", TIGHTENED)
@pytest.mark.parametrize("verdict", [CLEAN, UNKNOWN])
def test_tightening_never_makes_something_out_of_nothing(verdict: Verdict, code: str) -> None:
    decided = decide(replace(AUTOMATIC, verdict=verdict, **TIGHTENED[code]))
    assert (decided.kind, "also" in decided.params) == (NONE, False)


def test_confidence_of_75_is_enough() -> None:
    assert decide(replace(AUTOMATIC, identity_confidence=75)).kind == AUTO


@pytest.mark.parametrize("kind", ActionType)
def test_types_without_undo_wait_except_kill_process_at_full(kind: ActionType) -> None:
    runs = kind == ActionType.KILL_PROCESS or (
        CATALOGUE[kind].inverse is not None and CATALOGUE[kind].area == DEVICE
    )
    assert (decide(replace(AUTOMATIC, action_type=kind)).kind == AUTO) is runs


@pytest.mark.parametrize("level", [L.SEMI_CORE, L.SEMI_NONTEMP])
def test_killing_a_process_waits_below_full(level: AutomationLevel) -> None:
    facts = Facts(DEVICE, MALICIOUS, level, F.TEMP, ActionType.KILL_PROCESS)
    assert (decide(facts).kind, decide(facts).code) == (APPROVAL, "irreversible")


def test_a_finding_on_no_known_device_waits() -> None:
    decided = decide(Facts(DEVICE, MALICIOUS, None))
    assert (decided.kind, decided.code, decided.row) == (APPROVAL, "no_level", None)


def test_params_hold_plain_short_values_and_only_what_is_known() -> None:
    facts = replace(AUTOMATIC, path="\\" + "x" * 9000, group_name="Finance laptops")
    params = decide(facts).params
    assert params["level"] == "full"
    assert params["action"] == "quarantine_file"
    assert len(str(params["path"])) == policy.LONGEST_PARAMETER
    assert {"device", "by", "indicator", "confidence", "also"}.isdisjoint(params)


def outcomes(*kinds: OutcomeKind) -> list[Outcome]:
    return [Outcome(kind, f"{kind}{n}") for n, kind in enumerate(kinds)]


def test_the_strictest_of_several_findings_counts() -> None:
    auto, approval, none, not_run = OutcomeKind
    assert strictest(outcomes(none, auto, approval, auto)).code == "approval2"
    assert strictest(outcomes(not_run, none, auto)).kind == auto
    assert strictest(outcomes(none, not_run)).kind == none
    assert strictest(outcomes(auto, auto)).code == "auto0"
    with pytest.raises(ValueError, match="empty"):
        strictest([])


ANY_FACTS = st.builds(
    Facts,
    area=st.sampled_from(Area),
    verdict=st.sampled_from(Verdict),
    level=st.sampled_from([None, *L]),
    folder_class=st.sampled_from(F),
    action_type=st.sampled_from([None, *ActionType]),
    indicator=st.sampled_from([None, *IndicatorEffect]),
    excluded=st.booleans(),
    critical=st.booleans(),
    membership_stale=st.booleans(),
    altered=st.booleans(),
    identity_confidence=st.integers(0, 100),
    expansion=st.booleans(),
    user_compromised=st.booleans(),
    reversible=st.booleans(),
    routable=st.booleans(),
    rejected_before=st.sampled_from(["", "Mira Chen"]),
)
TIGHTER = st.sampled_from(
    [change for change in TIGHTENED.values() if "action_type" not in change] + [{"expansion": True}]
)


@given(ANY_FACTS)
def test_every_outcome_has_a_known_code(facts: Facts) -> None:
    assert decide(facts).code in policy.CODES


@given(ANY_FACTS, TIGHTER)
def test_no_modifier_ever_loosens(facts: Facts, change: dict[str, Any]) -> None:
    before, after = decide(facts), decide(replace(facts, **change))
    assert after.kind == before.kind or (before.kind, after.kind) == (AUTO, APPROVAL)


@given(ANY_FACTS, st.sampled_from(L), st.sampled_from(L))
def test_lowering_a_level_never_frees_anything(
    facts: Facts, one: AutomationLevel, other: AutomationLevel
) -> None:
    """The two folder levels consult different lists, so between them either may be freer."""
    low, high = sorted([one, other])
    if {low, high} == set(FOLDER_LEVELS):
        return
    lowered, before = decide(replace(facts, level=low)), decide(replace(facts, level=high))
    assert lowered.kind != AUTO or before.kind == AUTO


@given(ANY_FACTS)
def test_nothing_runs_by_itself_in_mail_or_on_suspicion(facts: Facts) -> None:
    if decide(facts).kind == AUTO:
        assert facts.area == DEVICE
        assert facts.verdict == MALICIOUS or facts.indicator in BLOCKING
        assert not any(
            [facts.critical, facts.membership_stale, facts.altered, facts.rejected_before, facts.expansion]
        )
