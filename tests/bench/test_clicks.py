"""The benchmark of links answers each as it should; its figures are nobody's business here."""

import pytest

from actioncenter.bench.asked import Asked
from actioncenter.bench.clicks import run

pytestmark = pytest.mark.django_db


def test_it_measures_and_no_answer_is_wrong() -> None:
    report = run(Asked(rows=30, rounds=1, seed=3, database="sqlite", say=lambda text: None))
    assert report.ratios.keys() == {"view_vs_bare", "lookups_per_s", "wrong"}
    assert report.ratios["wrong"] == 0
    assert report.held is None
