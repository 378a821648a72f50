"""What the sample of a long suite leaves out."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests import sampling


def cases(number: int) -> list[Any]:
    return [SimpleNamespace(nodeid=f"tests/test_a.py::test_a[{at}]") for at in range(number)]


def names(items: list[Any]) -> set[str]:
    return {item.nodeid for item in items}


@pytest.mark.parametrize(("there", "wanted", "left"), [(10, 3, 7), (3, 3, 0), (2, 3, 0)])
def test_as_many_run_as_were_asked_for(there: int, wanted: int, left: int) -> None:
    assert len(sampling.left_out(cases(there), wanted)) == left


def test_the_same_seed_gives_the_same_sample_in_any_order() -> None:
    assert names(sampling.left_out(cases(20), 5)) == names(sampling.left_out(cases(20)[::-1], 5))


def test_in_time_every_case_has_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    run = set()
    for day in range(60):
        monkeypatch.setattr(sampling, "SEED", day)
        run |= names(cases(12)) - names(sampling.left_out(cases(12), 3))
    assert run == names(cases(12))
