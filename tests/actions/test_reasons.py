"""Every code has words, and hostile parameters stay plain text."""

from dataclasses import replace
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actioncenter.actions import policy, reasons
from actioncenter.actions.enums import ActionType, Area
from actioncenter.settings.enums import AutomationLevel, FolderClass, IndicatorEffect
from actioncenter.web.text import is_hidden
from investigations.enums import Verdict

IN_CORE = policy.Facts(
    Area.DEVICE,
    Verdict.MALICIOUS,
    AutomationLevel.SEMI_CORE,
    FolderClass.CORE,
    ActionType.QUARANTINE_FILE,
    group_name="Finance laptops",
    device_name="FIN-LT-0231",
    path=r"C:\Windows\System32\x.dll",
    folder="\\Windows\\",
)


def sentence(facts: policy.Facts) -> str:
    outcome = policy.decide(facts)
    return reasons.render(outcome.code, outcome.params)


def test_every_policy_code_has_a_cause_and_a_sentence() -> None:
    assert set(reasons.POLICY) == policy.CODES


def test_no_code_stands_twice() -> None:
    assert len(reasons.REASONS) == len(reasons.POLICY) + len(reasons.PLANNING) + len(reasons.EXECUTION)


@pytest.mark.parametrize("code", reasons.REASONS)
def test_causes_are_short_and_sentences_end(code: str) -> None:
    assert 1 <= len(reasons.cause(code).split()) <= 5
    assert reasons.render(code).endswith(".")
    assert "{" not in reasons.render(code)


@pytest.mark.parametrize("code", reasons.POLICY)
def test_policy_sentences_use_only_what_policy_tells(code: str) -> None:
    known = {
        "group",
        "level",
        "device",
        "path",
        "folder",
        "by",
        "thing",
        "place",
        "path_shown",
        "used",
        "cap",
    }
    known |= {"confidence_shown", "bad_shown", "free_shown"}
    assert {name for _, name, _, _ in Formatter().parse(reasons.POLICY[code].sentence) if name} <= known


def test_the_sentence_explains_itself() -> None:
    assert sentence(IN_CORE) == (
        "Waiting because Finance laptops is set to Semi – core folders and the file lies in \\Windows\\."
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"folder_class": FolderClass.OTHER},
            "Runs by itself because Finance laptops is set to Semi – core folders",
        ),
        ({"action_type": ActionType.STOP_SERVICE}, "the program of the service lies in"),
        ({"folder_class": FolderClass.UNRESOLVABLE}, r"really lies (C:\Windows\System32\x.dll)."),
        ({"critical": True}, "Also: critical device."),
        ({"level": AutomationLevel.FULL, "critical": True}, "Waiting because FIN-LT-0231 is critical"),
        (
            {"verdict": Verdict.UNKNOWN, "indicator": IndicatorEffect.BLOCK},
            "because an indicator blocks this.",
        ),
        (
            {"level": AutomationLevel.FULL, "identity_confidence": 60},
            "FIN-LT-0231 is the one meant (60 of 100).",
        ),
        ({"level": AutomationLevel.FULL, "rejected_before": "Mira Chen"}, "Mira Chen rejected the same"),
        ({"level": AutomationLevel.NONE}, "is set to No automated response."),
        ({"group_name": ""}, "Waiting because the device group is set to"),
    ],
)
def test_what_sentences_say(change: dict[str, object], text: str) -> None:
    assert text in sentence(replace(IN_CORE, **change))  # type: ignore[arg-type]


HOSTILE = [
    "{0.__class__}",
    "{level.__init__}",
    "%s",
    "<script>",
    "a\u202etxt.exe",
    "x\x1b[2J",
    "\udcff",
    "a\nb",
]


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
def test_hostile_values_are_inserted_as_visible_text(value: str) -> None:
    text = sentence(replace(IN_CORE, group_name=value, folder=value))
    assert text.isprintable()
    assert (value in text) is value.isprintable()


def test_long_values_are_cut() -> None:
    assert len(sentence(replace(IN_CORE, group_name="x" * 10_000))) < 600


@given(
    st.text(max_size=40),
    st.dictionaries(st.text(max_size=10), st.none() | st.integers() | st.text() | st.lists(st.text())),
)
def test_any_code_and_any_parameters_render(code: str, params: dict[str, object]) -> None:
    assert reasons.render(code, params).endswith(".")


@given(st.sampled_from(sorted(reasons.REASONS)), st.dictionaries(st.sampled_from(["group", "level", "action", "also", "path", "indicator"]), st.none() | st.integers() | st.text() | st.lists(st.text())))  # fmt: skip
def test_known_codes_with_spoilt_parameters_render(code: str, params: dict[str, object]) -> None:
    assert not any(is_hidden(letter) for letter in reasons.render(code, params))


def test_an_unknown_code_is_still_readable() -> None:
    assert reasons.cause("some_old_code") == "some old code"
    assert reasons.render("some_old_code", {"x": 1}) == "Some old code."
