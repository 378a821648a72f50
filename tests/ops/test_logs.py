import logging

import pytest

from actioncenter.logs import OneLineFormatter


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\x85", "\u2028", "\x1b[2J"])
def test_text_from_outside_cannot_forge_a_record(separator: str) -> None:
    record = logging.LogRecord(
        "x", logging.INFO, __file__, 1, "file %s", (f"a{separator}ERROR forged",), None
    )

    line = OneLineFormatter("%(levelname)s %(message)s").format(record)

    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert line.startswith("INFO file a")
