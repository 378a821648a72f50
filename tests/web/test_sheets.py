"""Tables that a spreadsheet opens: no cell begins a formula, and nothing in a cell is lost."""

import csv
import io

import pytest

from actioncenter.web.sheets import as_csv, neutral

TRIGGERS = ["=", "+", "-", "@", "|", "%", "\t", "\r", "\n", "\0", *"＝＋－＠｜％"]
BEFORE = {
    "nothing": "",
    "spaces": "  ",
    "no-break space": "\u00a0",
    "full-width space": "\u3000",
    "byte order mark": "\ufeff",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "word joiner": "\u2060",
    "direction": "\u202e",
    "filler": "\u3164",
    "all at once": " \u00a0\ufeff\u200b ",
}
AFTER = ["", "1", 'cmd|"calc"!A1, "x"\r\ny']


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("trigger", TRIGGERS, ids=ascii)
def test_no_cell_begins_a_formula_and_all_come_back(trigger: str, before: str) -> None:
    cells = [f"{before}{trigger}{after}" for after in AFTER]

    _, row = read(as_csv(["a", "b", "c"], [cells]))

    assert row == [f"'{cell}" for cell in cells]


@pytest.mark.parametrize(
    "cell",
    ["plain", "a=b", "", " ", "\u200b", 7, None, "x-1", " x=1", "(=1)", 'say "a", b\r\nc', "a\0b", "Ωmega"],
)
def test_other_cells_stay(cell: object) -> None:
    text = "" if cell is None else str(cell)

    assert neutral(cell) == text
    assert read(as_csv(["a"], [[cell]])) == [["a"], [text]]


def test_every_cell_is_quoted_and_lines_end_as_they_must() -> None:
    assert as_csv(["a", "b"], [[1, 'x"y']]) == '"a","b"\r\n"1","x""y"\r\n'
