"""Copies of seals in a file that only grows, whoever writes it and whatever dies meanwhile."""

import os
from pathlib import Path

import pytest
from django.conf import settings
from django.db import transaction

from actioncenter.audit import copies, log, seals
from actioncenter.audit.copies import Copy
from actioncenter.audit.models import Seal
from actioncenter.audit.trust import Trust
from actioncenter.audit.verify_seals import SealFault, compare, is_trusted
from tests.audit.drafts import draft, seal

pytestmark = pytest.mark.django_db(transaction=True)
PUBLIC = seals.public_key(settings.SIGNING_KEY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "there" / "copies.jsonl"


def sealed(number: int) -> None:
    for _ in range(number):
        with transaction.atomic():
            log.record_many([draft("group:1")])
        seal()


def numbers(path: Path) -> list[int]:
    return [copy.number for copy in copies.read(path)]


def test_each_seal_is_written_once_in_order(path: Path) -> None:
    assert copies.keep(path) == 0
    sealed(3)
    assert copies.missing(path).count() == 3
    assert [copies.keep(path), copies.keep(path)] == [3, 0]
    sealed(2)
    assert copies.keep(path) == 2

    assert numbers(path) == [1, 2, 3, 4, 5]
    assert not copies.missing(path).exists()
    assert list(compare(copies.read(path), Trust([PUBLIC]))) == []


def test_many_are_written_a_few_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "AT_ONCE", 2)
    sealed(5)

    assert copies.keep(path) == 5
    assert numbers(path) == [1, 2, 3, 4, 5]


def test_a_line_may_be_longer_than_is_looked_at_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "TAIL", 7)
    sealed(2)

    assert [copies.keep(path), copies.keep(path)] == [2, 0]
    sealed(1)
    assert copies.keep(path) == 1
    assert numbers(path) == [1, 2, 3]


@pytest.mark.parametrize("tail", [7, copies.TAIL])
@pytest.mark.parametrize("lost", [1, 40])
def test_half_a_line_of_a_host_that_lost_its_power_is_written_again(
    path: Path, lost: int, tail: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "TAIL", tail)
    sealed(3)
    copies.keep(path)
    whole = path.read_bytes()
    os.truncate(path, len(whole) - lost)

    assert numbers(path) == [1, 2]
    assert copies.keep(path) == 1
    assert path.read_bytes() == whole


def test_what_is_no_copy_is_named_by_its_line(path: Path) -> None:
    sealed(1)
    copies.keep(path)
    for odd in (
        "[]",
        "{}",
        "x",
        '{"number": "1"}',
        '{"digest":1,"key":"","number":1,"signature":"","text":""}',
    ):
        path.write_text(Copy.of(Seal.objects.get()).line() + odd + "\n")
        with pytest.raises(ValueError, match="line 2"):
            list(copies.read(path))


def test_a_copy_that_is_not_signed_with_a_trusted_key_proves_nothing(path: Path) -> None:
    sealed(1)
    seal = Seal.objects.get()
    forged = Copy(1, seal.digest, seal.text, seal.key_id, "00" * 64)
    foreign = Copy(1, seal.digest, seal.text, "another", seal.signature)
    other_text = Copy(1, seal.digest, seal.text + " ", seal.key_id, seal.signature)

    assert [is_trusted(copy, Trust([PUBLIC])) for copy in (forged, foreign, other_text)] == [False] * 3
    assert is_trusted(Copy.of(seal), Trust([PUBLIC]))
    assert list(compare([forged, foreign, other_text], Trust([PUBLIC]))) == []


def test_the_first_event_that_differs_is_named(path: Path) -> None:
    sealed(1)
    seal = Seal.objects.get()
    said = seals.SealText.read(seal.text)
    text = seals.SealText(1, said.at, "", said.ids, [b"x" * 32]).render()
    copy = Copy(1, seals.digest(text), text, seal.key_id, seals.sign(settings.SIGNING_KEY, text))

    (bad,) = compare([copy], Trust([PUBLIC]))

    assert (bad.fault, bad.number, bad.event) == (SealFault.ANOTHER_PAST, 1, said.ids[0])
