"""Whether an action runs by itself, waits for a person, or isn't proposed. Pure: facts in, outcome out.

The table is domain §4, row by row. Modifiers only ever turn "auto" into "approval". The outcome
carries a code and parameters; `reasons` renders the sentence.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area
from actioncenter.settings.enums import AutomationLevel, FolderClass, IndicatorEffect
from investigations.enums import Verdict

TRUSTED_CONFIDENCE = 75
"""Below this we aren't sure enough which device or mailbox is meant (design §4); a setting may ask for more."""

LONGEST_PARAMETER = 300

Param = str | int | list[str]


class OutcomeKind(StrEnum):
    AUTO = "auto"
    APPROVAL = "approval"
    NONE = "none"
    NOT_RUN = "not_run"

    @property
    def strictness(self) -> int:
        return _STRICTNESS.index(self)

    @property
    def proposes(self) -> bool:
        return self in {OutcomeKind.AUTO, OutcomeKind.APPROVAL}


_STRICTNESS = (OutcomeKind.NOT_RUN, OutcomeKind.NONE, OutcomeKind.AUTO, OutcomeKind.APPROVAL)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`row` is the row of domain §4, None where a rule outside the table decided alone.

    `params["also"]` lists codes of further reasons to wait.
    """

    kind: OutcomeKind
    code: str
    params: Mapping[str, Param] = field(default_factory=dict)
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the decision depends on.

    `level` is None only where no device is concerned (email, accounts). `user_compromised` says
    that the finding is a compromised account. `folder` is the folder a list matched, `path` the
    whole path; both only explain. `rejected_before` names who rejected the same intent.
    `altered` says that a text was cut or cleaned on the way in, so the target may be another.
    `identity_confidence` is None where nobody knows. `over_cap` and `breaker_open` are asked only
    for what would run by itself; the figures beside them explain: used and cap of the window and
    when the next is free, how many of the last went wrong.
    """

    area: Area
    verdict: Verdict
    level: AutomationLevel | None = None
    folder_class: FolderClass = FolderClass.NO_PATH
    action_type: ActionType | None = None
    indicator: IndicatorEffect | None = None
    excluded: bool = False
    critical: bool = False
    membership_stale: bool = False
    altered: bool = False
    identity_confidence: int | None = 100
    confidence_floor: int = TRUSTED_CONFIDENCE
    expansion: bool = False
    user_compromised: bool = False
    reversible: bool = True
    routable: bool = True
    rejected_before: str = ""
    breaker_open: bool = False
    breaker_bad: int = 0
    breaker_of: int = 0
    over_cap: bool = False
    used: int = 0
    cap: int = 0
    free_at: str = ""
    group_name: str = ""
    device_name: str = ""
    path: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. None stands for "any"; a level of None in the set for "no device"."""

    number: int
    kind: OutcomeKind
    code: str
    area: Area | None = None
    verdicts: frozenset[Verdict] | None = None
    levels: frozenset[AutomationLevel | None] | None = None
    folders: frozenset[FolderClass] | None = None
    expansion: bool = False
    user_compromised: bool = False

    def applies(self, facts: Facts) -> bool:
        return (
            (self.area is None or self.area == facts.area)
            and (self.verdicts is None or facts.verdict in self.verdicts)
            and (self.levels is None or facts.level in self.levels)
            and (self.folders is None or facts.folder_class in self.folders)
            and (not self.expansion or facts.expansion)
            and (not self.user_compromised or facts.user_compromised)
        )


_L = AutomationLevel
_F = FolderClass
_DEVICE, _EMAIL = Area.DEVICE, Area.EMAIL
_AUTO, _APPROVAL, _NONE, _NOT_RUN = OutcomeKind
_MALICIOUS = frozenset({Verdict.MALICIOUS})
_SUSPICIOUS = frozenset({Verdict.SUSPICIOUS})
_BAD = _MALICIOUS | _SUSPICIOUS
_CLEAN = frozenset({Verdict.NO_THREATS_FOUND})
_UNKNOWN = frozenset({Verdict.UNKNOWN})
_FULL, _ALL = frozenset({_L.FULL}), frozenset({_L.SEMI_ALL})
_CORE, _NONTEMP = frozenset({_L.SEMI_CORE}), frozenset({_L.SEMI_NONTEMP})
_NO_LEVEL: frozenset[AutomationLevel | None] = frozenset({None})
_RUNS: frozenset[AutomationLevel | None] = frozenset({*AutomationLevel, None}) - {_L.NONE}

# The first that applies counts. Rows 12, 16, 17, 11 and 18 come first because their "any" and "–"
# would otherwise meet the rows of one level; several lines share a number where the reason differs.
TABLE: tuple[Row, ...] = (
    Row(12, _NOT_RUN, "level_none", _DEVICE, None, frozenset({_L.NONE})),
    Row(17, _NONE, "verdict_unknown", None, _UNKNOWN),
    Row(11, _NONE, "no_threats", _DEVICE, _CLEAN, _RUNS),
    Row(15, _NONE, "email_no_threats", _EMAIL, _CLEAN),
    Row(16, _AUTO, "user_compromised", _DEVICE, _MALICIOUS, _NO_LEVEL, user_compromised=True),
    Row(18, _APPROVAL, "expansion", _DEVICE, _BAD, _RUNS, expansion=True),
    Row(1, _AUTO, "full_malicious", _DEVICE, _MALICIOUS, _FULL),
    Row(2, _APPROVAL, "full_suspicious", _DEVICE, _SUSPICIOUS, _FULL),
    Row(3, _APPROVAL, "semi_all_malicious", _DEVICE, _MALICIOUS, _ALL),
    Row(4, _APPROVAL, "semi_all_suspicious", _DEVICE, _SUSPICIOUS, _ALL),
    Row(5, _APPROVAL, "semi_core_in_core", _DEVICE, _MALICIOUS, _CORE, frozenset({_F.CORE})),
    Row(5, _APPROVAL, "semi_core_unresolvable", _DEVICE, _MALICIOUS, _CORE, frozenset({_F.UNRESOLVABLE})),
    Row(6, _AUTO, "semi_core_outside_core", _DEVICE, _MALICIOUS, _CORE, frozenset({_F.OTHER, _F.TEMP})),
    Row(6, _AUTO, "semi_core_no_path", _DEVICE, _MALICIOUS, _CORE, frozenset({_F.NO_PATH})),
    Row(7, _APPROVAL, "semi_core_suspicious", _DEVICE, _SUSPICIOUS, _CORE),
    Row(8, _AUTO, "semi_nontemp_in_temp", _DEVICE, _MALICIOUS, _NONTEMP, frozenset({_F.TEMP})),
    Row(9, _APPROVAL, "semi_nontemp_outside_temp", _DEVICE, _MALICIOUS, _NONTEMP, frozenset({_F.OTHER, _F.CORE})),
    Row(9, _APPROVAL, "semi_nontemp_no_path", _DEVICE, _MALICIOUS, _NONTEMP, frozenset({_F.NO_PATH})),
    Row(9, _APPROVAL, "semi_nontemp_unresolvable", _DEVICE, _MALICIOUS, _NONTEMP, frozenset({_F.UNRESOLVABLE})),
    Row(10, _APPROVAL, "semi_nontemp_suspicious", _DEVICE, _SUSPICIOUS, _NONTEMP),
    Row(13, _APPROVAL, "email_malicious", _EMAIL, _MALICIOUS),
    Row(14, _APPROVAL, "email_suspicious", _EMAIL, _SUSPICIOUS),
)  # fmt: skip

EXCLUDED = "excluded_folder"
ALLOWED = "indicator_allow"
NO_LEVEL = "no_level"
_BLOCKING = frozenset({IndicatorEffect.BLOCK, IndicatorEffect.BLOCK_AND_REMEDIATE})


def _mail_by_another_way(facts: Facts) -> bool:
    """Rows 13 and 14 hold for what an action touches, not only for where its finding came from."""
    kind = facts.action_type
    return facts.area != _EMAIL and kind is not None and CATALOGUE[kind].area == _EMAIL


def _irreversible(facts: Facts) -> bool:
    """Types without undo wait, except kill process at Full, where the documents let it run."""
    kind = facts.action_type
    if kind == ActionType.KILL_PROCESS and facts.level == AutomationLevel.FULL:
        return False
    return not facts.reversible or (kind is not None and CATALOGUE[kind].inverse is None)


def _unsure(facts: Facts) -> bool:
    floor = max(facts.confidence_floor, TRUSTED_CONFIDENCE)
    return facts.identity_confidence is None or facts.identity_confidence < floor


TIGHTENING: Mapping[str, Callable[[Facts], bool]] = {
    "critical_device": lambda facts: facts.critical,
    "offboard": lambda facts: facts.action_type == ActionType.OFFBOARD_DEVICE,
    "mail_action": _mail_by_another_way,
    "identity_unsure": _unsure,
    "altered_text": lambda facts: facts.altered,
    "membership_stale": lambda facts: facts.membership_stale,
    "irreversible": _irreversible,
    "rejected_before": lambda facts: bool(facts.rejected_before),
    "no_route": lambda facts: not facts.routable,
    "breaker_open": lambda facts: facts.breaker_open,
    "rail_reached": lambda facts: facts.over_cap,
}
"""Reasons to ask a person although the table would not; the first that holds names the outcome."""

AUTOMATIC = frozenset(row.code for row in TABLE if row.kind is OutcomeKind.AUTO)
CODES = frozenset({row.code for row in TABLE} | set(TIGHTENING) | {EXCLUDED, ALLOWED, NO_LEVEL})


def decide(facts: Facts) -> Outcome:
    """Apply exclusions, indicators, the table and the tightening rules, in this order."""
    if facts.excluded:
        return Outcome(OutcomeKind.NONE, EXCLUDED, _params(facts))
    if facts.indicator == IndicatorEffect.ALLOW:
        return Outcome(OutcomeKind.NONE, ALLOWED, _params(facts))
    if facts.indicator in _BLOCKING:
        facts = replace(facts, verdict=Verdict.MALICIOUS)
    row = next((row for row in TABLE if row.applies(facts)), None)
    if row is None:
        # A device finding on no known device: nobody set a level that would allow anything.
        return Outcome(OutcomeKind.APPROVAL, NO_LEVEL, _params(facts, _reasons_to_wait(facts)))
    if not row.kind.proposes:
        return Outcome(row.kind, row.code, _params(facts), row.number)
    also = _reasons_to_wait(facts)
    if row.kind == OutcomeKind.AUTO and also:
        return Outcome(OutcomeKind.APPROVAL, also[0], _params(facts, also[1:]), row.number)
    return Outcome(row.kind, row.code, _params(facts, also), row.number)


def _reasons_to_wait(facts: Facts) -> list[str]:
    return [code for code, holds in TIGHTENING.items() if holds(facts)]


def _params(facts: Facts, also: Iterable[str] = ()) -> dict[str, Param]:
    """Plain values for the snapshot: codes rather than words, and only what is known."""
    params: dict[str, Param] = {
        "verdict": facts.verdict.name.lower(),
        "level": "" if facts.level is None else facts.level.name.lower(),
        "folder_class": facts.folder_class.name.lower(),
        "action": "" if facts.action_type is None else CATALOGUE[facts.action_type].code,
        "indicator": "" if facts.indicator is None else facts.indicator.name.lower(),
        "group": facts.group_name[:LONGEST_PARAMETER],
        "device": facts.device_name[:LONGEST_PARAMETER],
        "path": facts.path[:LONGEST_PARAMETER],
        "folder": facts.folder[:LONGEST_PARAMETER],
        "by": facts.rejected_before[:LONGEST_PARAMETER],
        "also": list(also),
    }
    if _unsure(facts) and facts.identity_confidence is not None:
        params["confidence"] = facts.identity_confidence
    if facts.over_cap:
        params |= {"used": facts.used, "cap": facts.cap, "free_at": facts.free_at}
    if facts.breaker_open and facts.breaker_of:
        params |= {"bad": facts.breaker_bad, "of": facts.breaker_of}
    return {name: value for name, value in params.items() if value not in ("", [])}


def strictest(outcomes: Iterable[Outcome]) -> Outcome:
    """What holds for one action that several findings ask for (domain Q8): approval beats auto.

    The first of equals wins. Raises ValueError if there is none.
    """
    return max(outcomes, key=lambda outcome: outcome.kind.strictness)
