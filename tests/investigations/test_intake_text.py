"""Text from outside: one cleaning function, and nothing gets past it."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from investigations.intake.errors import Rejected
from investigations.intake.reading import Reader
from investigations.intake.recognise import FORMATS, Item, read
from investigations.intake.text import NAME_CAP, clean_text

FIXTURES = Path(__file__).parents[1] / "fixtures" / "intake"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("plain", "plain"),
        ("a\x00b", "a\u2400b"),
        ("a\ud800b", "a\ufffdb"),
        ("a\udc00\ud800", "a\ufffd\ufffd"),
        ("tab\tand\x1bescape stay", "tab\tand\x1bescape stay"),
        ("\u202egpj.exe", "\u202egpj.exe"),
    ],
)
def test_what_no_database_takes_is_replaced_and_told(given: str, expected: str) -> None:
    assert clean_text(given) == (expected, given != expected)


def test_a_text_over_its_cap_is_cut_and_told() -> None:
    assert clean_text("x" * 600, NAME_CAP) == ("x" * 512, True)


@given(st.text(alphabet=st.characters()))
def test_cleaned_text_can_be_stored_and_stays_as_it_is(text: str) -> None:
    cleaned = clean_text(text).text
    cleaned.encode("utf-8")
    assert "\x00" not in cleaned
    assert clean_text(cleaned) == (cleaned, False)


def poisoned(value: Any, depth: int = 0) -> Any:
    """Every text but dates, ids and words of an enumeration with a NUL and a lone surrogate behind it."""
    if isinstance(value, dict):
        return {name: poisoned(member, depth + 1) for name, member in value.items()}
    if isinstance(value, list):
        return [poisoned(member, depth + 1) for member in value]
    return value + "\x00\ud800" if isinstance(value, str) and " " in value else value


def texts(value: Any) -> Iterator[str]:
    if dataclasses.is_dataclass(value):
        value = [getattr(value, item.name) for item in dataclasses.fields(value)]
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from (name, *texts(member))
    elif isinstance(value, list | tuple):
        for member in value:
            yield from texts(member)


@pytest.mark.parametrize("path", sorted(FIXTURES.iterdir()), ids=lambda path: path.name)
def test_no_poisoned_text_leaves_any_format(path: Path) -> None:
    content = path.read_text("utf-8")
    documents = [content] if path.suffix == ".json" else content.splitlines()
    body = "\n".join(json.dumps(poisoned(json.loads(document))) for document in documents)
    items = list(read(BytesIO(body.encode())))
    documents_out = [item.document for item in items if isinstance(item, Item)]
    found = [text for document in documents_out for text in texts(document)]
    assert any("\u2400\ufffd" in text for text in found)
    assert not any("\x00" in text or "\ud800" in text for text in found)
    assert any(alert.altered for document in documents_out for alert in document.alerts)


def test_every_format_has_a_fixture() -> None:
    items = (item for path in FIXTURES.iterdir() for item in read(BytesIO(path.read_bytes())))
    seen = {item.format for item in items if isinstance(item, Item)}
    assert seen == set(FORMATS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2020-09-06T14:46:57.0733333Z", datetime(2020, 9, 6, 14, 46, 57, 73333, UTC)),
        ("2025-04-16T09:02:57.556+0000", datetime(2025, 4, 16, 9, 2, 57, 556000, UTC)),
        ("2023-09-19T11:05:22-04:00", datetime(2023, 9, 19, 15, 5, 22, 0, UTC)),
        ("2023-09-19T11:05:22", datetime(2023, 9, 19, 11, 5, 22, 0, UTC)),
        (1668535199, datetime(2022, 11, 15, 17, 59, 59, 0, UTC)),
        (1668535199000, datetime(2022, 11, 15, 17, 59, 59, 0, UTC)),
        ("1668535199000000", datetime(2022, 11, 15, 17, 59, 59, 0, UTC)),
        (1668535199000000000, datetime(2022, 11, 15, 17, 59, 59, 0, UTC)),
        ("0001-01-01T00:00:00", None),
        (None, None),
    ],
)
def test_times_are_read_in_every_spelling(value: object, expected: datetime | None) -> None:
    assert Reader({"at": value}).when("at") == expected


@pytest.mark.parametrize(
    "value", ["yesterday", True, [], {}, "9999-99-99", 1e300, "9999-12-31T23:59:59-14:00"]
)
def test_what_is_no_time_is_refused_by_name(value: object) -> None:
    with pytest.raises(Rejected) as refused:
        Reader({"at": value}, "alert").when("at")
    assert refused.value.field == "alert.at"


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("text", {}),
        ("text", True),
        ("number", "four"),
        ("number", 2**63),
        ("number", 1.5),
        ("child", []),
        ("flag", "maybe"),
    ],
)
def test_a_wrong_type_is_refused_by_name(method: str, value: object) -> None:
    with pytest.raises(Rejected) as refused:
        getattr(Reader({"field": value}), method)("field")
    assert refused.value.field == "field"


def test_ids_are_refused_rather_than_cut() -> None:
    with pytest.raises(Rejected, match="more than 255"):
        Reader({"id": "x" * 256}).ident("id")
