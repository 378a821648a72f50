"""Each kind of damage to an export is found, by the check that is named for it, without the product."""

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actioncenter.audit import canonical, seals, standalone_texts
from actioncenter.audit.standalone import Unusable, Verifier, verify_file
from actioncenter.auditor import exporting
from tests.audit.damages import DAMAGE, OWN_KEY, Damage, resealed, rewritten, written
from tests.audit.vectors import AT, AUDIT_KEY, PLAIN, PUBLIC_KEY, SIGNING_KEY, Log, log

HONEST = log()
KEPT = [seal.checkpoint() for seal in HONEST.seals]
EACH = pytest.mark.parametrize("damage", DAMAGE, ids=[damage.name for damage in DAMAGE])


def check(tmp_path: Path, damage: Damage) -> str:
    """Which check finds it."""
    file = tmp_path / "export.jsonl"
    file.write_text("".join(damage.lines()), encoding="ascii")
    against = kept(tmp_path, *KEPT) if damage.against else None
    result = verify_file(
        file, public_keys=[PUBLIC_KEY], audit_keys=[AUDIT_KEY] * damage.audit_key, against=against
    )
    return result.problem.check if result.problem else ""


def kept(tmp_path: Path, *checkpoints: dict[str, Any]) -> Path:
    path = tmp_path / "checkpoints.jsonl"
    path.write_text("".join(json.dumps(said) + "\n" for said in checkpoints))
    return path


def script(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A copy of the script in a folder of its own: nothing of the product is in reach."""
    copy = tmp_path / "check.py"
    copy.write_text(exporting.script())
    command = [sys.executable, "-I", copy.name, *map(str, arguments)]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


@EACH
def test_the_script_names_the_damage(tmp_path: Path, damage: Damage) -> None:
    (tmp_path / "export.jsonl").write_text("".join(damage.lines()), encoding="ascii")
    (tmp_path / "audit.key").write_bytes(AUDIT_KEY)
    options: list[object] = ["export.jsonl", "--public-key", PUBLIC_KEY.hex()]
    options += ["--audit-key", "audit.key"] * damage.audit_key
    options += ["--against", kept(tmp_path, *KEPT)] * damage.against

    done = script(tmp_path, *options)

    assert done.stdout.startswith(f"WRONG: {damage.found_by[0]}: ")
    assert (done.returncode, done.stderr) == (1, "")


@EACH
def test_nothing_else_finds_it(tmp_path: Path, damage: Damage, monkeypatch: pytest.MonkeyPatch) -> None:
    switch_off(monkeypatch, damage.found_by)

    assert check(tmp_path, damage) == ""


@EACH
def test_each_check_finds_it_alone(
    tmp_path: Path, damage: Damage, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in damage.found_by:
        with subtests.test(name), monkeypatch.context() as patch:
            switch_off(patch, {*damage.found_by} - {name})
            assert check(tmp_path, damage) == name


def switch_off(monkeypatch: pytest.MonkeyPatch, checks: Any) -> None:
    must = Verifier.must

    def lenient(self: Verifier, fine: object, check: str, message: str, **place: int | str) -> None:
        must(self, fine or check in checks, check, message, **place)

    monkeypatch.setattr(Verifier, "must", lenient)


@pytest.mark.parametrize("damage", [one for one in DAMAGE if one.against], ids=lambda damage: damage.name)
def test_only_checkpoints_show_it(tmp_path: Path, damage: Damage) -> None:
    assert check(tmp_path, replace(damage, against=False)) == ""


def test_what_is_whole_is_whole(tmp_path: Path) -> None:
    assert check(tmp_path, Damage("none", (), lambda made: None, audit_key=True, against=True)) == ""


def test_without_a_key_of_ones_own_it_warns_and_believes_the_file(tmp_path: Path) -> None:
    (tmp_path / "export.jsonl").write_text("".join(log(signing_key=OWN_KEY).lines()))

    done = script(tmp_path, "export.jsonl")

    assert done.stdout.startswith("WARNING: NO PUBLIC KEY GIVEN.")
    assert "anybody can make one" in done.stdout
    assert done.returncode == 0


def test_it_answers_in_json(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.write_text("".join(HONEST.lines()))
    (tmp_path / "damaged").write_text("".join(DAMAGE[0].lines()))
    (tmp_path / "public.key").write_bytes(PUBLIC_KEY)

    answers = [
        script(tmp_path, name, "--public-key", "public.key", "--json")
        for name in ("whole", "damaged", "missing")
    ]

    assert [done.returncode for done in answers] == [0, 1, 2]
    good, bad, unusable = (json.loads(done.stdout) for done in answers)
    assert (good["ok"], good["pinned"], good["seals"], good["events"], good["unsealed"]) == (
        True,
        True,
        3,
        9,
        2,
    )
    assert good["problem"] is None
    assert {**bad["problem"], "message": ""} == {
        "check": "leaf", "event": 7, "stream": "action:1042", "seq": 2, "message": "",
    }  # fmt: skip
    assert "No such file" in unusable["unusable"]


def test_several_keys_can_be_given(tmp_path: Path) -> None:
    """As after a change of keys."""
    made = log()
    made.signing_key = OWN_KEY
    resealed(made, [5, 6, 7, 9, 12])
    made.signing_key = SIGNING_KEY
    made.seal([8, 14])
    (tmp_path / "export").write_text("".join(made.lines()))
    one, other = seals.public_key(OWN_KEY), PUBLIC_KEY

    assert verify_file(tmp_path / "export", public_keys=[one, other]).problem is None
    assert str(verify_file(tmp_path / "export", public_keys=[one]).problem).startswith(
        "signature: line 8, seal 2"
    )


HEADER, SEAL, FIRST = HONEST.lines()[:3]
UNUSABLE = [
    b"", b"\n", b"{", b"[]\n", b"1\n", b"\xff\xfe\n", b'{"format":"actioncenter-audit-export 4","public_keys":{}}\n',
    HEADER.replace('"public_keys":{', '"public_keys":{"x":"zz",').encode(), b"[" * 100_000 + b"\n", HEADER[:-9].encode(),
    b'{"format":"actioncenter-audit-export 1","public_keys":[]}\n', b"9" * 5000 + b"\n",
]  # fmt: skip


@pytest.mark.parametrize("content", UNUSABLE, ids=range(len(UNUSABLE)))
def test_what_is_no_export_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "export").write_bytes(content)

    done = script(tmp_path, "export")

    assert done.stdout.startswith("UNUSABLE: this is no export")
    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.parametrize("key", ["", "abc", "no such file", "zz" * 32, "check.py"])
def test_a_key_that_is_none_is_unusable(tmp_path: Path, key: str) -> None:
    done = script(tmp_path, "export", "--public-key", key)

    assert "is no key of 32 bytes" in done.stdout
    assert (done.returncode, done.stderr) == (2, "")


def signed_seal(text: str) -> str:
    return written(
        {"seal": text, "key": seals.key_id(PUBLIC_KEY), "signature": seals.sign(SIGNING_KEY, text)}
    )


def event(text: str) -> str:
    return written({"event": 5, "chain": "00" * 32, "text": text})


SEAL_TEXT, TEXT = HONEST.seals[0].text, HONEST.rows[0].canonical
HOSTILE = [
    "\n", "{}\n", "[]\n", "null\n", '"seal"\n', "{not json}\n", "[" * 100_000 + "\n", '{"end":' + "[" * 100_000 + "\n",
    written({"event": "5", "chain": "00" * 32, "text": TEXT}), written({"event": True, "chain": "00" * 32, "text": TEXT}),
    written({"event": 5, "chain": "zz" * 32, "text": TEXT}), written({"event": 5, "chain": "", "text": TEXT}),
    written({"event": 5, "chain": "00" * 32, "text": None}), FIRST[:-2] + ',"event":6}\n', FIRST.replace(":", ": "),
    '{"end":{"events":0,"seals":0},"more":NaN}\n', '{"unsealed":true}\n{"unsealed":true}\n',
    '{"unsealed":true}\n' + SEAL, HEADER, event(TEXT + "x"), event(TEXT[:-1]), event("\ud800"), event(TEXT.lower()[1:]),
    event(TEXT.replace("seq:i:1:1", "seq:i:1:x")), event(TEXT.replace("seq:i:1:1", "seq:n:0:")),
    event(TEXT.replace("seq:i:1:1", "seq:i:01:1")), event(TEXT.replace("seq:i:1:1", "seq:i:2:01")),
    event(TEXT.replace("seq:i:1:1", "seq:s:1:1")), event(TEXT.replace("seq:i:1:1", "seq:i:" + "9" * 5000 + ":1")),
    event(TEXT.replace("seq:i:1:1", "seq:i:5000:" + "9" * 5000)), event(TEXT.replace("before:n:0:", "before:n:1:x")),
    *(event(TEXT.replace("before:n:0:", f"before:j:{len(json_)}:{json_}")) for json_ in (
        "1.5", "1e3", "NaN", '{"b":1,"a":2}', '{"a":1,"a":1}', "[1, 2]", '"\\u0041"', '"\\ud800"', "null", "[" * 100_000, "9" * 5000,
    )),
    signed_seal(""), signed_seal(SEAL_TEXT + "x"),
    signed_seal(SEAL_TEXT.replace("events:s:8:5-7,9,12", "events:s:22:1-99999999999999999999")),
    *(signed_seal(SEAL_TEXT.replace("8:5-7,9,12", f"{len(ids)}:{ids}")) for ids in (
        "5-7,9-9,12", "5-7,12,9", "5-6,7,9,12", "5-7,9,", "05-7,9,12", "7-5,9,12", "5-7,9,12,13", "-5,9,12", "5-7;9,12",
    )),
    signed_seal(SEAL_TEXT.replace("count:i:1:5", "count:i:1:4")), signed_seal(SEAL_TEXT.replace("number:i:1:1", "number:n:0:")),
    signed_seal(SEAL_TEXT.replace("=\n", "*\n")),
]  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_what_has_another_form_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "export").write_text(HEADER + content, encoding="ascii")

    result = verify_file(tmp_path / "export", public_keys=[PUBLIC_KEY])

    assert result.problem is not None
    assert result.problem.check == "form"
    assert str(result.problem).isascii()
    assert str(result.problem).isprintable()


def test_only_the_form_shows_what_was_signed_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = log()
    made.row(14).canonical = made.row(14).canonical.replace("before:n:0:", "before:j:3:1.5")
    resealed(made, *[[*seal.said.ids] for seal in made.seals])
    damage = Damage("form", ("form",), lambda _: made.lines())

    assert check(tmp_path, damage) == "form"
    monkeypatch.setattr(standalone_texts, "_fits", lambda type_, value: True)
    assert check(tmp_path, damage) == ""


def test_an_event_waits_for_the_one_before_it_in_a_later_seal(tmp_path: Path) -> None:
    ids = [[*seal.said.ids] for seal in HONEST.seals]

    assert [row.values["seq"] for row in HONEST.rows if row.values["stream"] == "user:6"] == [1, 2]
    assert (12 in ids[0], 8 in ids[2]) == (True, True)
    assert check(tmp_path, Damage("none", (), lambda made: None, audit_key=True)) == ""


def test_a_name_from_the_file_steers_no_terminal(tmp_path: Path) -> None:
    hostile = Log()
    hostile.write(1, stream="\x1b[2J\u202eaction", seq=2)
    (tmp_path / "export").write_text("".join(hostile.lines()))

    done = script(tmp_path, "export")

    assert done.returncode == 1
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout


CHECKPOINTS: list[tuple[str, dict[str, Any]]] = [
    ("", KEPT[0]),
    ("", {**KEPT[0], "text": ""}),
    ("", {name: value for name, value in KEPT[0].items() if name != "text"}),
    ("checkpoint", {**KEPT[0], "signature": KEPT[1]["signature"]}),
    ("checkpoint", {**KEPT[0], "digest": KEPT[1]["digest"]}),
    ("checkpoint", log(signing_key=OWN_KEY).seals[0].checkpoint()),
    ("another seal", {**KEPT[0], "digest": "ab" * 32, "text": ""}),
    ("another seal", HONEST.seals[0].saying(at=AT).signed().checkpoint()),
    ("cut back", HONEST.seals[2].saying(number=9).signed().checkpoint()),
]


@pytest.mark.parametrize(("found_by", "said"), CHECKPOINTS, ids=range(len(CHECKPOINTS)))
def test_checkpoints_are_compared(tmp_path: Path, found_by: str, said: dict[str, Any]) -> None:
    (tmp_path / "export").write_text("".join(HONEST.lines()))

    result = verify_file(
        tmp_path / "export", public_keys=[PUBLIC_KEY], against=kept(tmp_path, KEPT[2], said, KEPT[1])
    )

    assert (result.problem.check if result.problem else "") == found_by


@pytest.mark.parametrize(
    "said",
    [
        {},
        {**KEPT[0], "number": "1"},
        {**KEPT[0], "number": 0},
        {**KEPT[0], "number": 2},
        {**KEPT[0], "text": "x"},
    ],
)
def test_checkpoints_that_are_none_are_unusable(tmp_path: Path, said: dict[str, Any]) -> None:
    (tmp_path / "export").write_text("".join(HONEST.lines()))

    with pytest.raises(Unusable, match="line 2 of the checkpoints"):
        verify_file(tmp_path / "export", public_keys=[PUBLIC_KEY], against=kept(tmp_path, KEPT[0], said))


def test_the_first_event_that_differs_is_named(tmp_path: Path) -> None:
    (tmp_path / "export").write_text("".join(rewritten(log())))

    result = verify_file(tmp_path / "export", public_keys=[PUBLIC_KEY], against=kept(tmp_path, *KEPT))

    assert result.problem is not None
    assert result.problem.place == {"seal": 1, "event": 7}


@given(at=st.integers(min_value=len(HEADER)), byte=st.integers(0, 255), size=st.integers(0, 3))
def test_no_byte_of_what_is_sealed_can_change(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int, size: int
) -> None:
    sealed = "".join(HONEST.lines()[:11]).encode()
    rest = "".join(HONEST.lines()[11:]).encode()
    at = len(HEADER) + at % (len(sealed) - len(HEADER))
    changed = sealed[:at] + bytes([byte] * size) + sealed[at + 1 :]
    file = tmp_path_factory.getbasetemp() / "changed"
    file.write_bytes(changed + rest)

    problem = verify_file(file, public_keys=[PUBLIC_KEY]).problem

    assert (problem is None) == (changed == sealed)


def test_memory_is_bounded(tmp_path: Path) -> None:
    made, before = Log(), ""
    with (tmp_path / "export").open("w") as file:
        file.write(HEADER + '{"unsealed":true}\n')
        for seq in range(1, 4001):
            text = canonical.render({**PLAIN, "seq": seq, "subject_name": "x" * 1000})
            before = canonical.link(made.key, "action:1042", before, text)
            file.write(written({"event": seq, "chain": before, "text": text}))
        file.write(written({"end": {"events": 4000, "seals": 0}}))

    tracemalloc.start()
    result = verify_file(tmp_path / "export", public_keys=[PUBLIC_KEY], audit_keys=[AUDIT_KEY])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (result.problem, result.events) == (None, 4000)
    assert peak < 500_000
