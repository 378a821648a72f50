"""Whoever trusts the first public key can follow the signing key through its changes, and nobody else's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from actioncenter import keys
from actioncenter.audit import seals
from actioncenter.audit.seals import SealText
from actioncenter.audit.standalone import Result, verify_file
from actioncenter.audit.trust import Trust
from tests.audit.damages import OWN_KEY
from tests.audit.test_standalone import kept
from tests.audit.vectors import (
    AUDIT_KEY,
    NEXT_AUDIT_KEY,
    NEXT_PUBLIC_KEY,
    NEXT_SIGNING_KEY,
    PUBLIC_KEY,
    SIGNING_KEY,
    Log,
    log,
    rotated,
)

BOTH = [AUDIT_KEY, NEXT_AUDIT_KEY]


def checked(tmp_path: Path, made: Log, public_key: bytes = PUBLIC_KEY, **more: object) -> Result:
    (tmp_path / "export").write_text("".join(made.lines()), encoding="ascii")
    return verify_file(tmp_path / "export", public_keys=[public_key], **{"audit_keys": BOTH, **more})  # type: ignore[arg-type]


def test_the_script_follows_from_the_first_key(tmp_path: Path) -> None:
    made = rotated()
    result = checked(tmp_path, made, against=kept(tmp_path, *(seal.checkpoint() for seal in made.seals)))

    assert (result.problem, result.seals) == (None, 5)
    assert result.handed_over_to == (seals.key_id(NEXT_PUBLIC_KEY),)


def test_without_the_older_audit_key_the_chain_is_wrong(tmp_path: Path) -> None:
    result = checked(tmp_path, rotated(), audit_keys=[NEXT_AUDIT_KEY])
    assert str(result.problem).startswith("chain: event 5")


def unannounced(made: Log) -> None:
    """A new key, and no seal of the old one that names it."""
    made.signing_key = OWN_KEY
    made.seal([20])


def announced_by_itself(made: Log) -> None:
    made.signing_key = OWN_KEY
    made.hand_over(OWN_KEY)


def announced_by_nobody(made: Log) -> None:
    made.hand_over(OWN_KEY)
    made.seals[-1] = replace(made.seals[-1], signature="00" * 64)


def still_signing(made: Log) -> None:
    """Somebody stole the old key."""
    made.hand_over(NEXT_SIGNING_KEY)
    made.signing_key = SIGNING_KEY
    made.seal([20])


def renamed(made: Log) -> None:
    """Another successor under the same signature."""
    made.hand_over(NEXT_SIGNING_KEY)
    made.seals[-1] = made.seals[-1].saying(successor=seals.public_key(OWN_KEY).hex())
    made.signing_key = OWN_KEY
    made.seal([20])


FORGERIES: list[tuple[Callable[[Log], None], int]] = [
    (unannounced, 4), (announced_by_itself, 4), (announced_by_nobody, 4), (still_signing, 5), (renamed, 4),
]  # fmt: skip


@pytest.mark.parametrize(("forge", "at"), FORGERIES, ids=[forge.__name__ for forge, _ in FORGERIES])
def test_another_key_is_named(tmp_path: Path, forge: Callable[[Log], None], at: int) -> None:
    made = log()
    forge(made)

    problem = checked(tmp_path, made).problem

    assert problem is not None
    assert (problem.check, problem.place["seal"]) == ("signature", at)
    assert next(number for number, objection in objections(made, PUBLIC_KEY) if objection) == at


def objections(made: Log, *pinned: bytes) -> list[tuple[int, str]]:
    """As the product sees it."""
    trust, found = Trust(pinned), []
    for number, seal in enumerate(made.seals, start=1):
        objection = trust.objection(number, seal.key_id, seal.text, seal.signature)
        if not objection:
            trust.follow(seal.key_id, seal.said)
        found.append((number, objection))
    return found


def test_the_product_follows_and_says_whereto() -> None:
    assert [objection for _, objection in objections(rotated(), PUBLIC_KEY)] == [""] * 5
    assert [objection for _, objection in objections(rotated(), PUBLIC_KEY, NEXT_PUBLIC_KEY)] == [""] * 5


def test_a_key_that_handed_over_signs_nothing_later_even_when_it_is_pinned() -> None:
    made = log()
    still_signing(made)
    assert "had handed over" in objections(made, PUBLIC_KEY, NEXT_PUBLIC_KEY)[-1][1]


def test_a_handover_is_followed_once_and_again() -> None:
    trust, seal = Trust([PUBLIC_KEY]), rotated().seals[3]
    for _ in range(2):
        trust.follow(seal.key_id, seal.said)
    assert trust.signers == [seals.key_id(NEXT_PUBLIC_KEY)]


@pytest.mark.parametrize("successor", ["", "00", "zz" * 32, "AB" * 32, "00" * 33])
def test_a_successor_that_is_no_key_is_no_seal(successor: str) -> None:
    text = replace(log().seals[0].said, successor="x").render()
    with pytest.raises(ValueError, match=r"public key|header"):
        SealText.read(text.replace("successor:s:1:x", f"successor:s:{len(successor)}:{successor}"))


def test_checkpoints_of_after_the_change_show_what_was_put_back(tmp_path: Path) -> None:
    after = rotated().seals[4].checkpoint()
    made = rotated()
    made.seals.pop()
    assert str(checked(tmp_path, made, against=kept(tmp_path, after)).problem).startswith("cut back")


# Audit keys that were retired


def retired(detail: object = None, *, by: bytes = NEXT_AUDIT_KEY) -> Log:
    """The first audit key made events 5 to 21, and event 23 says that it makes no more."""
    made = rotated()
    made.key = by
    said = {"id": keys.fingerprint("audit.key", AUDIT_KEY)} if detail is None else detail
    made.write(23, stream="key:audit", seq=1, kind="key.retired", detail=said)
    return made


def problem(tmp_path: Path, made: Log) -> str:
    found = checked(tmp_path, made).problem
    return f"{found.check} {found.place.get('event')}" if found else ""


def test_a_retired_audit_key_vouches_for_what_it_made(tmp_path: Path) -> None:
    assert problem(tmp_path, retired()) == ""


def test_whoever_stole_it_can_add_nothing(tmp_path: Path) -> None:
    made = retired()
    made.key = AUDIT_KEY
    made.write(24, stream="group:9")
    assert problem(tmp_path, made) == "chain 24"


def test_nor_before_its_retirement_is_read(tmp_path: Path) -> None:
    """The event was sealed first, and has the higher id."""
    made = rotated()
    made.key = AUDIT_KEY
    made.write(30, stream="group:9")
    made.signing_key = NEXT_SIGNING_KEY
    made.seal([30])
    made.rows += retired().rows[-1:]
    assert problem(tmp_path, made) == "chain 30"


@pytest.mark.parametrize(
    ("detail", "by"),
    [({"id": "0" * 16}, NEXT_AUDIT_KEY), ([], NEXT_AUDIT_KEY), ({}, NEXT_AUDIT_KEY), (None, AUDIT_KEY)],
    ids=["another key", "no object", "no id", "itself"],
)
def test_what_retires_it_names_it_and_is_of_another_key(tmp_path: Path, detail: object, by: bytes) -> None:
    made = retired(detail, by=by)
    made.key = AUDIT_KEY
    made.write(24, stream="group:9")
    assert problem(tmp_path, made) == ""
