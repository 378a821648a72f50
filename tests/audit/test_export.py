"""The export is a published format: what is shipped beside its description must never change."""

import json
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from actioncenter.audit import canonical, export, seals, standalone, standalone_texts
from actioncenter.audit.seals import SealText
from tests.audit.vectors import AT, FILE, PLAIN, PUBLIC_KEY, Log, Row, SealRow, log, vectors

SHIPPED = json.loads(FILE.read_text(encoding="utf-8"))


def test_the_product_writes_the_shipped_vectors() -> None:
    assert vectors() == SHIPPED


def test_the_shipped_vectors_hold_what_is_hard() -> None:
    texts = [event["text"] for event in SHIPPED["events"]]

    for part in (
        "subject_name:n:0:", "subject_name:s:0:", "Zoe\u0308", "Zo\u00eb", "\u202e", "\x00", "\\u0000", "at:t:2:-1",
        str(2**63), str(-(10**30)), "group_id:i:20:-", '[{"deep":[{}]}]', "seq:i:1:2",
    ):  # fmt: skip
        assert any(part in text for text in texts), part
    assert [seal["ids"] for seal in SHIPPED["seals"]] == [[5, 6, 7, 9, 12], [], [8, 14]]
    assert "events:s:8:5-7,9,12\n" in SHIPPED["seals"][0]["text"]


@pytest.mark.parametrize("event", SHIPPED["events"], ids=lambda event: str(event["id"]))
def test_the_script_reads_the_shipped_events(event: dict[str, str]) -> None:
    found = standalone_texts.read_event(
        {"event": event["id"], "chain": event["chain"], "text": event["text"]}
    )

    values = canonical.read(event["text"])
    assert (found.stream, found.seq) == (values["stream"], values["seq"])
    assert canonical.render(values) == event["text"]


@pytest.mark.parametrize("seal", SHIPPED["seals"], ids=lambda seal: str(seal["number"]))
def test_the_script_and_the_product_read_the_shipped_seals(seal: dict[str, str]) -> None:
    ours, theirs = SealText.read(seal["text"]), standalone_texts.read_seal(seal["text"])

    assert ours.render() == seal["text"]
    at = canonical.microseconds(ours.at)
    said = (ours.number, at, ours.previous, ours.ids, ours.leaves, bytes.fromhex(ours.successor))
    assert said == tuple(map(type_of_ours, theirs))
    assert seals.is_signed(PUBLIC_KEY, seal["text"], seal["signature"])


def type_of_ours(value: object) -> object:
    return list(value) if isinstance(value, list | tuple) else value


def test_the_script_finds_nothing_wrong_with_the_shipped_export(tmp_path: Path) -> None:
    file, kept = tmp_path / "export", tmp_path / "checkpoints"
    file.write_text("".join(f"{line}\n" for line in SHIPPED["export"]))
    kept.write_text("".join(f"{json.dumps(said)}\n" for said in SHIPPED["checkpoints"]))

    result = standalone.verify_file(
        file,
        public_keys=[bytes.fromhex(SHIPPED["public_key"])],
        audit_keys=[bytes.fromhex(SHIPPED["audit_key"])],
        against=kept,
    )

    assert result.problem is None
    assert (result.seals, result.events, result.unsealed) == (3, 9, 2)


def test_lines_stand_in_order() -> None:
    said = [json.loads(line) for line in log().lines()]

    kinds = [min(line.keys() & {"format", "seal", "event", "unsealed", "end"}) for line in said]
    assert [line.get("event", kind) for line, kind in zip(said, kinds, strict=True)] == [
        "format", "seal", 5, 6, 7, 9, 12, "seal", "seal", 8, 14, "unsealed", 20, 21, "end",
    ]  # fmt: skip


def test_the_same_log_gives_the_same_bytes_but_for_the_time() -> None:
    def written(**said: object) -> list[str]:
        keys = {"b": b"1", "a": b"2"}
        if said.pop("reversed", False):
            keys = dict(reversed(keys.items()))
        at = AT + timedelta(days=bool(said.pop("later", False)))
        return [
            *export.lines(lambda ids: [], log().seals, unsealed=[], public_keys=keys, at=at, product="1.0")
        ]

    assert written() == written(reversed=True)
    assert written()[1:] == written(later=True)[1:]
    assert written()[0] != written(later=True)[0]


def test_lines_are_compact_ascii_in_one_form() -> None:
    for line in log().lines():
        assert line.isascii()
        assert line == json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")) + "\n"


def test_an_empty_log_has_a_frame() -> None:
    assert Log().lines()[1:] == ['{"unsealed":true}\n', '{"end":{"events":0,"seals":0}}\n']


def test_damage_in_the_database_is_written_as_it_is() -> None:
    broken = log()
    broken.seals[0] = replace(broken.seals[0], text="\ud800 is no seal")
    broken.rows.remove(broken.row(14))
    asked: list[int] = []

    def events(ids: Sequence[int]) -> list[Row]:
        asked.extend(ids)
        return [row for row in broken.rows if row.pk in ids]

    said = [
        json.loads(line) for line in export.lines(events, broken.seals, unsealed=[], public_keys={}, at=AT)
    ]

    assert asked == [8, 14]
    assert [line["event"] for line in said if "event" in line] == [8]
    assert said[1]["seal"] == "\ud800 is no seal"
    assert said[-1] == {"end": {"events": 1, "seals": 3}}


def long_log(count: int) -> Iterator[str]:
    """One seal of so many events of a kilobyte."""
    text = canonical.render({**PLAIN, "subject_name": "x" * 1000})
    row = Row(1, "00" * 32, text)
    leaf = seals.leaf(row.chain, row.canonical)
    made = SealText(1, AT, "", range(1, count + 1), [leaf] * count).render()

    def events(ids: Sequence[int]) -> Iterator[Row]:
        assert len(ids) <= export.AT_ONCE
        return (replace(row, pk=pk) for pk in ids)

    return export.lines(events, [SealRow(made).signed()], unsealed=[], public_keys={}, at=AT)


def test_memory_is_bounded() -> None:
    written = 0
    tracemalloc.start()
    for line in long_log(4000):
        written += len(line)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert written > 5_000_000
    assert peak < 2_500_000
