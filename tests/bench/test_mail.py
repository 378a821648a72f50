"""The benchmark of mail moves what it says and puts it back; its figures are nobody's business here."""

import pytest

from actioncenter.bench.asked import Asked
from actioncenter.bench.mail import run

pytestmark = pytest.mark.dovecot


def test_it_measures_and_the_undo_is_exact() -> None:
    report = run(Asked(rows=12, rounds=1, seed=3, database="sqlite", say=lambda text: None))
    assert report.ratios.keys() == {"one_by_one_vs_ours", "undo_exact", "memory_mib"}
    assert report.ratios["undo_exact"] == 1
    assert [line[1] for table in report.tables for line in table.lines] == ["6", "6"]
    assert report.held is None
