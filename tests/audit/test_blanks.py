"""An export of a log from which text was taken out, checked without the product."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actioncenter.audit import canonical, export, redactions, seals, standalone
from actioncenter.audit.redactions import NotRedactable, RedactionText
from tests.audit.blanks import COMMENT, Blanked, later
from tests.audit.damages import OWN_KEY, edited
from tests.audit.vectors import AUDIT_KEY, FILE, NEXT_SIGNING_KEY, PLAIN, PUBLIC_KEY

SHIPPED = json.loads(FILE.read_text(encoding="utf-8"))["redaction"]


def check(tmp_path: Path, found: list[str]) -> standalone.Result:
    file = tmp_path / "export"
    file.write_text("".join(found), encoding="ascii")
    return standalone.verify_file(file, public_keys=[PUBLIC_KEY], audit_keys=[AUDIT_KEY])


def problem(tmp_path: Path, found: list[str]) -> str:
    """Which check finds something."""
    result = check(tmp_path, found)
    return result.problem.check if result.problem else ""


def test_the_shipped_export_is_whole(tmp_path: Path) -> None:
    found = check(tmp_path, [f"{line}\n" for line in SHIPPED["export"]])
    assert (found.problem, found.redacted, found.events) == (None, 1, 6)
    assert json.loads(SHIPPED["export"][0])["format"] == export.REDACTED
    assert COMMENT in SHIPPED["written"]
    assert not any(COMMENT in line for line in SHIPPED["export"])


def test_the_shipped_record_is_read_and_written_alike() -> None:
    said = RedactionText.read(SHIPPED["text"])
    assert said.render() == SHIPPED["text"]
    assert said.leaf == seals.leaf(said.chain, SHIPPED["written"]).hex()
    assert seals.is_signed(PUBLIC_KEY, SHIPPED["text"], SHIPPED["signature"])


def no_record(made: Blanked) -> list[str]:
    return made.log.lines()


def record_elsewhere(made: Blanked) -> list[str]:
    first, record, *rest = made.lines()
    return [first, *rest[:2], record, *rest[2:]]


def said(**changed: Any) -> Callable[[Blanked], list[str]]:
    def make(made: Blanked) -> list[str]:
        made.saying(**changed)
        return made.lines()

    return make


def other_text(made: Blanked) -> list[str]:
    edited(made.log, 6, detail={"comment": "[redacted]", "mode": "typed"})
    return made.lines()


def text_put_back(made: Blanked) -> list[str]:
    made.log.row(6).canonical = made.written
    return made.lines()


def put_back_without_record(made: Blanked) -> list[str]:
    made.log.row(6).canonical = made.written
    return made.log.lines()


def another_row(made: Blanked) -> list[str]:
    """The same record about another event, whose text goes."""
    row = made.log.row(7)
    edited(made.log, 7, subject_name="[redacted]")
    made.saying(event=7, chain=row.chain, sha256=redactions.hash_of(row.canonical))
    return made.lines()


def another_chain_value(made: Blanked) -> list[str]:
    made.log.row(6).chain = "ab" * 32
    return made.lines()


def untold(made: Blanked) -> list[str]:
    """Somebody with the signing key, and with all seals that there are."""
    made.log.rows = [row for row in made.log.rows if row.pk not in {20, 21}]
    made.log.seals.pop()
    made.log.seal([])
    made.log.seal([])
    return made.lines()


def signed_alone(made: Blanked) -> list[str]:
    made.saying(approved_by="user:12")
    return made.lines()


def signed_by_a_command(made: Blanked) -> list[str]:
    made.saying(approved_by="command:audit redact")
    return made.lines()


DAMAGE: dict[str, tuple[Callable[[Blanked], list[str]], str]] = {
    "no record": (no_record, "leaf"),
    "record elsewhere": (record_elsewhere, "events"),
    "record of an own key": (said(key=OWN_KEY), "signature"),
    "other text": (other_text, "redaction"),
    "the text is there again": (text_put_back, "redaction"),
    "the text is there again, and no record": (put_back_without_record, "redaction"),
    "another row": (another_row, "leaf"),
    "another leaf": (said(leaf="ab" * 32), "leaf"),
    "another chain value": (another_chain_value, "redaction"),
    "no event tells of it": (untold, "redaction"),
    "by one person": (signed_alone, "redaction"),
    "by a command": (signed_by_a_command, "redaction"),
    "another one approved": (said(approved_by="user:9"), "redaction"),
    "another one asked": (said(requested_by="user:9"), "redaction"),
    "asked in another event": (said(request=19), "redaction"),
    "other fields": (said(fields=["subject_name"]), "redaction"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_the_script_names_the_damage(tmp_path: Path, name: str) -> None:
    damage, found_by = DAMAGE[name]
    assert problem(tmp_path, damage(Blanked())) == found_by


def test_a_file_that_ends_before_the_redaction_cant_tell_of_it(tmp_path: Path) -> None:
    """An archive of what was purged, in which a text was redacted before."""
    made = Blanked()
    made.saying(at=later(5))
    made.log.rows = [row for row in made.log.rows if row.pk < 20]
    made.log.seals.pop()
    assert problem(tmp_path, made.lines()) == ""


@pytest.mark.parametrize(("key", "found"), [(NEXT_SIGNING_KEY, ""), (OWN_KEY, "signature")])
def test_a_record_may_be_younger_than_a_key_that_seals_hand_over_to(
    tmp_path: Path, key: bytes, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.audit.blanks.SIGNING_KEY", key)
    made = Blanked()
    made.record = made.record.signed(key)
    made.log.hand_over(NEXT_SIGNING_KEY)

    assert problem(tmp_path, made.lines()) == found


# What is taken out

VALUES: dict[str, Any] = {
    **PLAIN,
    "before": None,
    "after": {
        "targets": ["a", "b"],
        "a.b": {"c": "d"},
        "type": "isolate",
        "nested": {"type": "x", "note": "y"},
    },
    "detail": {"comment": "text", "empty": "", "number": 5, "list": [1, {"name": "n"}]},
}


@pytest.mark.parametrize(
    ("field", "column", "left"),
    [
        ("subject_name", "subject_name", "[redacted]"),
        ("detail.comment", "detail", {**VALUES["detail"], "comment": "[redacted]"}),
        ("after.targets.1", "after", {**VALUES["after"], "targets": ["a", "[redacted]"]}),
        ("after.targets", "after", {**VALUES["after"], "targets": ["[redacted]", "[redacted]"]}),
        ("after.a.b.c", "after", {**VALUES["after"], "a.b": {"c": "[redacted]"}}),
        ("after.nested", "after", {**VALUES["after"], "nested": {"type": "x", "note": "[redacted]"}}),
        ("detail.list.1.name", "detail", {**VALUES["detail"], "list": [1, {"name": "[redacted]"}]}),
    ],
)
def test_only_the_text_that_was_named_goes(field: str, column: str, left: object) -> None:
    assert redactions.without(VALUES, [field]) == {**VALUES, column: left}


@pytest.mark.parametrize(
    "field",
    [
        "actor", "actor_name", "subject", "kind", "at", "stream", "subject_name.x", "detail", "before.x", "after.type",
        "after.nested.type", "detail.number", "detail.empty", "detail.none", "detail.list.0", "detail.list.7", "",
    ],
)  # fmt: skip
def test_what_stays_stays(field: str) -> None:
    with pytest.raises(NotRedactable):
        redactions.without(VALUES, [field])


@pytest.mark.parametrize("kind", ["audit.redacted", "key.retired", "retention.purged", "switch.sealed"])
def test_events_of_the_log_itself_stay_whole(kind: str) -> None:
    with pytest.raises(NotRedactable):
        redactions.without({**VALUES, "kind": kind}, ["detail.comment"])


def test_a_second_redaction_of_the_same_event_counts(tmp_path: Path) -> None:
    left = redactions.without(VALUES, ["detail.comment"])
    both = redactions.without(left, ["subject_name"])
    assert canonical.render(both) == canonical.render(
        redactions.without(VALUES, ["subject_name", "detail.comment"])
    )
    with pytest.raises(NotRedactable, match="no text"):
        redactions.without(left, ["detail.comment"])
