"""An export of a log whose beginning was dropped by rule, checked without the product."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from actioncenter.audit import export, seals, standalone
from actioncenter.audit.purges import PurgeText
from tests.audit.cuts import Cut
from tests.audit.damages import OWN_KEY
from tests.audit.vectors import AT, AUDIT_KEY, FILE, NEXT_SIGNING_KEY, PUBLIC_KEY

SHIPPED = json.loads(FILE.read_text(encoding="utf-8"))["purge"]


def check(tmp_path: Path, lines: list[str], checkpoints: list[dict[str, Any]] | None = None) -> str:
    """Which check finds something."""
    file, kept = tmp_path / "export", tmp_path / "kept"
    file.write_text("".join(lines), encoding="ascii")
    kept.write_text("".join(json.dumps(said) + "\n" for said in checkpoints or []))
    against = None if checkpoints is None else kept
    result = standalone.verify_file(file, public_keys=[PUBLIC_KEY], audit_keys=[AUDIT_KEY], against=against)
    return result.problem.check if result.problem else ""


def test_the_shipped_export_is_whole(tmp_path: Path) -> None:
    assert check(tmp_path, [f"{line}\n" for line in SHIPPED["export"]], SHIPPED["checkpoints"]) == ""
    assert json.loads(SHIPPED["export"][0])["format"] == export.CUT


def test_the_shipped_purge_is_read_and_written_alike() -> None:
    said = PurgeText.read(SHIPPED["text"])
    assert said.render() == SHIPPED["text"]
    assert {stream: list(head) for stream, head in said.heads.items()} == SHIPPED["heads"]
    assert seals.is_signed(PUBLIC_KEY, SHIPPED["text"], SHIPPED["signature"])


def test_a_log_that_was_never_cut_is_written_as_ever() -> None:
    lines = export.lines(
        lambda ids: [], [], unsealed=[], public_keys={}, at=PurgeText.read(SHIPPED["text"]).at
    )
    assert json.loads(next(lines))["format"] == export.FORMAT


def without_purge(cut: Cut) -> list[str]:
    return [line for line in cut.lines() if '"purge"' not in line]


def purge_elsewhere(cut: Cut) -> list[str]:
    first, purge, *rest = cut.lines()
    return [first, rest[0], purge, *rest[1:]]


def dropped_event_is_there(cut: Cut) -> list[str]:
    lines = cut.lines()
    row = cut.log.row(7)
    return [*lines[:-2], export.event_line(row.pk, row.chain, row.canonical), *lines[-2:]]


def said(**changed: Any) -> Callable[[Cut], list[str]]:
    def make(cut: Cut) -> list[str]:
        cut.saying(**changed)
        return cut.lines()

    return make


def seal_too_many(cut: Cut) -> list[str]:
    del cut.log.seals[1], cut.log.rows[3:]
    return cut.lines()


def put_back(cut: Cut) -> list[str]:
    """What was dropped, under a new id and in a stream that nobody knows."""
    cut.log.write(21, stream="user:77", at=AT - timedelta(days=1))
    return cut.lines()


HEADS = PurgeText.read(SHIPPED["text"]).heads
DAMAGE: dict[str, tuple[Callable[[Cut], list[str]], str]] = {
    "purge left out": (without_purge, "number"),
    "purge elsewhere": (purge_elsewhere, "number"),
    "purge of an own key": (said(key=OWN_KEY), "signature"),
    "another digest": (said(digest="ab" * 32), "previous"),
    "a seal more": (said(seal=2), "number"),
    "a stream is left out": (said(heads={"group:3": HEADS["group:3"]}), "seq"),
    "a head has another number": (said(heads={**HEADS, "group:3": (2, HEADS["group:3"][1])}), "seq"),
    "a head has another chain value": (said(heads={**HEADS, "group:3": (1, "00" * 32)}), "chain"),
    "an old event is there again": (put_back, "older"),
    "a dropped event is there": (dropped_event_is_there, "twice"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_the_script_names_the_damage(tmp_path: Path, name: str) -> None:
    damage, found_by = DAMAGE[name]
    assert check(tmp_path, damage(Cut())) == found_by


def test_copies_of_what_was_dropped_are_no_sign_of_cutting_back(tmp_path: Path) -> None:
    cut = Cut()
    kept = [seal.checkpoint() for seal in cut.log.seals]
    assert check(tmp_path, cut.lines(), kept) == ""
    assert check(tmp_path, cut.lines(), [{**kept[0], "text": "", "digest": "ab" * 32}]) == "another seal"
    assert check(tmp_path, seal_too_many(cut), kept) == "cut back"


@pytest.mark.parametrize(("key", "found"), [(NEXT_SIGNING_KEY, ""), (OWN_KEY, "signature")])
def test_a_purge_may_be_younger_than_a_key_that_seals_hand_over_to(
    tmp_path: Path, key: bytes, found: str
) -> None:
    """Whoever trusts the first key alone believes it, and one of a key that was never handed over to not."""
    cut = Cut()
    cut.log.hand_over(NEXT_SIGNING_KEY)
    cut.saying(key=key)

    assert check(tmp_path, cut.lines()) == found
