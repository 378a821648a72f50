"""Whatever stands in an event, a strict parser of RFC 5424 reads it back, and no line is longer than it may be."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actioncenter.audit import outgoing
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from tests.streaming.receivers import parsed

HOSTILE = '"]\\ \n\r\x00\x1b[2J\u202egpj.exe <1>1 \u2028 Zoë 名'
TEXT = st.text(st.characters(exclude_categories=()), max_size=300) | st.just(HOSTILE)


def event(**fields: Any) -> Event:
    values: dict[str, Any] = {
        "pk": 7, "stream": "action:1", "seq": 1, "at": datetime(2026, 3, 1, 8, 30, 0, 5, tzinfo=UTC),
        "kind": "action.approved", "actor": "user:1", "actor_name": "Mira", "actor_via": "session",
        "subject": "action:1", "subject_name": "A-1", "request_id": "", "chain": "ab" * 32,
    }  # fmt: skip
    return Event(**{**values, **fields})


def test_an_event_is_read_back() -> None:
    found = parsed(
        outgoing.syslog_event(3, event(actor_name='a "b" \\c]', detail={"n": 1}), host="h", most=9999)
    )

    assert (found["pri"], found["msgid"]) == (13 * 8 + 6, "action.approved")
    assert found["data"]["actorName"] == 'a "b" \\c]'
    assert (found["data"]["id"], found["data"]["seal"], found["data"]["outcome"]) == ("7", "3", "success")
    assert (found["said"]["detail"], found["said"]["at"]) == ({"n": 1}, "2026-03-01T08:30:00.000005+00:00")


@given(
    name=TEXT,
    subject=TEXT,
    host=TEXT,
    detail=st.dictionaries(TEXT, TEXT, max_size=3),
    most=st.sampled_from([8192, 65536]),
)
def test_hostile_text_stays_text(
    name: str, subject: str, host: str, detail: dict[str, str], most: int
) -> None:
    row = event(actor_name=name, subject_name=subject, detail=detail)
    message = outgoing.syslog_event(3, row, host=host, most=most)

    found = parsed(message)

    assert len(message) <= most
    assert found["said"]["actor_name"] in (name, name[:80])
    assert "\n" not in message.decode("latin-1")
    line = outgoing.event_line(3, row)
    assert line.isascii()
    assert line.count("\n") == 1


def test_what_is_too_long_is_cut_and_says_so() -> None:
    long = event(detail={"x": "é" * 20_000}, actor_name="名" * 300, subject_name="名" * 300)
    message = outgoing.syslog_event(3, long, host="h", most=8192)
    said = parsed(message)["said"]
    assert (said["cut"], said["event"], "detail" in said) == (True, 7, False)
    assert len(message) <= 8192
    assert json.loads(outgoing.event_line(3, event(detail={"x": "y"})))["detail"] == {"x": "y"}


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_a_message_id_and_has_an_outcome(kind: Kind) -> None:
    found = parsed(outgoing.syslog_event(3, event(kind=kind.value), host="h", most=8192))
    assert found["msgid"] == kind.value[:32]
    assert found["data"]["outcome"] in {"success", "failure", "unknown"}
    assert (found["data"]["outcome"] == "success") == (found["pri"] == 110)


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (Kind.ACTION_FAILED, "failure"), (Kind.SESSION_SIGN_IN_FAILED, "failure"), (Kind.ACTION_UNKNOWN, "unknown"),
        (Kind.ACTION_REJECTED, "success"), (Kind.ACCESS_REFUSED, "failure"), (Kind.NOTICE_UNDELIVERED, "failure"),
    ],
)  # fmt: skip
def test_outcomes(kind: Kind, outcome: str) -> None:
    assert outgoing.outcome(kind) == outcome
