"""The canonical text and the chain are a published format: golden values must never change."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actioncenter.audit import canonical

KEY = bytes(range(32))
APPROVED: dict[str, Any] = {
    "stream": "action:1042",
    "seq": 2,
    "at": datetime(2026, 3, 1, 8, 30, 0, 123456, tzinfo=UTC),
    "kind": "action.approved",
    "actor": "user:12",
    "actor_name": "Zoë\nAlvarez: ops",
    "actor_via": "session",
    "subject": "action:1042",
    "subject_name": "",
    "area": 1,
    "group_id": None,
    "request_id": "5f2c",
    "before": {"decision": "pending"},
    "after": {"decision": "approved", "note": 'a"\\\tb', "é": [1, -2, True, None], "Z": {}},
    "detail": None,
}
GOLDEN = (
    "actioncenter-event 1\n"
    "stream:s:11:action:1042\n"
    "seq:i:1:2\n"
    "at:t:16:1772353800123456\n"
    "kind:s:15:action.approved\n"
    "actor:s:7:user:12\n"
    "actor_name:s:17:Zoë\nAlvarez: ops\n"
    "actor_via:s:7:session\n"
    "subject:s:11:action:1042\n"
    "subject_name:s:0:\n"
    "area:i:1:1\n"
    "group_id:n:0:\n"
    "request_id:s:4:5f2c\n"
    'before:j:22:{"decision":"pending"}\n'
    'after:j:70:{"Z":{},"decision":"approved","note":"a\\"\\\\\\tb","é":[1,-2,true,null]}\n'
    "detail:n:0:\n"
)


def changed(**fields: Any) -> str:
    return canonical.render({**APPROVED, **fields})


def test_golden_text() -> None:
    assert canonical.render(APPROVED) == GOLDEN


def test_golden_chain() -> None:
    first = canonical.link(KEY, "action:1042", "", GOLDEN)
    second = canonical.link(KEY, "action:1042", first, GOLDEN)

    assert first == hmac.new(KEY, bytes(32) + b"action:1042" + GOLDEN.encode(), hashlib.sha256).hexdigest()
    assert second == hmac.new(KEY, bytes.fromhex(first) + GOLDEN.encode(), hashlib.sha256).hexdigest()
    assert (first[:16], second[:16]) == ("7f26555e334bf556", "8dcebde310ebed6c")


def test_text_reads_back() -> None:
    assert canonical.read(GOLDEN) == APPROVED


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"subject_name": ""}, {"subject_name": None}),
        ({"area": None}, {"area": 0}),
        ({"detail": None}, {"detail": {}}),
        ({"actor": "user:1", "actor_name": "2Mira"}, {"actor": "user:12", "actor_name": "Mira"}),
        ({"actor_name": "a", "actor_via": "b"}, {"actor_name": "a\nactor_via:s:1:b", "actor_via": ""}),
        ({"subject_name": "Zo\u00eb"}, {"subject_name": "Zoe\u0308"}),
        ({"detail": {"n": 1}}, {"detail": {"n": "1"}}),
        ({"detail": {"n": 1}}, {"detail": {"n": True}}),
    ],
)
def test_what_differs_reads_differently(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert changed(**one) != changed(**other)


def test_time_zone_of_a_time_does_not_matter() -> None:
    assert changed(at=APPROVED["at"].astimezone(timezone(timedelta(hours=5, minutes=30)))) == GOLDEN


def test_numbers_with_names_are_numbers() -> None:
    class Level(IntEnum):
        FULL = 4

    assert changed(detail={"level": Level.FULL}) == changed(detail={"level": 4})


@pytest.mark.parametrize(
    "refused",
    [
        {"detail": {"score": 0.5}},
        {"detail": {"score": float("nan")}},
        {"detail": {"deep": [{"score": 1.0}]}},
        {"detail": {1: "key"}},
        {"detail": {"at": APPROVED["at"]}},
        {"detail": {"raw": b"bytes"}},
        {"detail": {"text": "\ud800"}},
        {"actor_name": "\udfff"},
        {"at": datetime(2026, 3, 1)},  # noqa: DTZ001 - that is the point
        {"seq": "2"},
    ],
    ids=str,
)
def test_what_has_no_canonical_form_is_refused(refused: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        changed(**refused)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "actioncenter-event 2\n" + GOLDEN.partition("\n")[2],
        GOLDEN + "more:s:1:x\n",
        GOLDEN[:-1],
        GOLDEN.replace("seq:i:1:2", "seq:i:2:2"),
        GOLDEN.replace("seq:i:1:2\n", ""),
    ],
)
def test_text_that_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"header|expected|length|after the last"):
        canonical.read(text)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(name=TEXT | st.none(), group=st.integers() | st.none(), detail=st.dictionaries(TEXT, JSON, max_size=3))
def test_whatever_is_written_reads_back_and_writes_the_same(
    name: str | None, group: int | None, detail: dict[str, Any]
) -> None:
    values = {**APPROVED, "subject_name": name, "group_id": group, "detail": detail}
    text = canonical.render(values)

    assert canonical.read(text) == values
    assert canonical.render(canonical.read(text)) == text
    assert json.loads(canonical.canonical_json(detail)) == detail


def stored(values: dict[str, Any], indent: int | None = None) -> list[Any]:
    """As a database has them; PostgreSQL writes JSON in its own way."""
    jsons = {
        name: json.dumps(values[name], indent=indent)
        for name in ("before", "after", "detail")
        if values[name] is not None
    }
    return [*({**values, **jsons, "at": canonical.microseconds(values["at"])}.values())]


@given(name=TEXT, group=st.integers() | st.none(), detail=st.dictionaries(TEXT, JSON, max_size=3))
def test_a_text_says_what_it_was_written_of(name: str, group: int | None, detail: dict[str, Any]) -> None:
    values = {**APPROVED, "subject_name": name, "group_id": group, "detail": detail}
    text = canonical.render(values)

    assert canonical.says(text, stored(values))
    assert canonical.says(text, stored(values, indent=1))


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("field", canonical.FIELDS)
def test_a_text_does_not_say_anything_else(field: str, ascii_only: bool) -> None:
    """Also not what only a count of characters instead of bytes would take for the same."""
    values = (
        {**APPROVED, "actor_name": "Mira", "after": {}, "group_id": 3, "detail": {"n": 1}}
        if ascii_only
        else APPROVED
    )
    text = canonical.render(values)
    row = stored(values)
    at = list(canonical.FIELDS).index(field)
    for other in ("7", 7, "null", None, "é"):
        row[at] = other
        try:
            said = canonical.says(text, row)
        except (TypeError, ValueError):
            said = False
        assert said == (other is None and values[field] is None), other


def test_a_text_with_wrong_lengths_says_nothing() -> None:
    wrong = GOLDEN.replace("actor_name:s:17:", "actor_name:s:16:")
    assert wrong != GOLDEN
    assert not canonical.says(wrong, stored(APPROVED))
