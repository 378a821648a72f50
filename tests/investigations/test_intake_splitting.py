"""Whole inputs: what is an item, what is refused, and that a refused item harms no other."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from investigations.intake import splitting
from investigations.intake.decoding import DEPTH_LIMIT
from investigations.intake.errors import ItemError
from investigations.intake.recognise import Item, read

FIXTURES = Path(__file__).parents[1] / "fixtures" / "intake"


def alert(number: int, **more: Any) -> dict[str, Any]:
    """A Wazuh alert: the shortest format there is."""
    rule = {"level": 3, "description": f"Alert {number}"}
    agent = {"id": "001", "name": "web"}
    return {"id": str(number), "timestamp": "2026-01-01T00:00:00Z", "rule": rule, "agent": agent, **more}


def native(*alerts: object) -> str:
    """Pretty-printed, so that every alert begins on a line of its own."""
    return json.dumps({"format": "actioncenter/1", "source": {"name": "demo"}, "alerts": alerts}, indent=1)


def own_alert(number: int, **more: Any) -> dict[str, Any]:
    return {"id": str(number), "title": "T", "created": "2026-01-01T00:00:00Z", **more}


def results(body: str | bytes, format: str = "") -> list[Item | ItemError]:
    return list(
        read(BytesIO(body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body), format)
    )


def outline(body: str | bytes) -> list[str | tuple[int, str]]:
    """Ids of accepted alerts; line and field of refused items."""
    found: list[str | tuple[int, str]] = []
    for item in results(body):
        if isinstance(item, Item):
            found += [entry.external_id for entry in item.document.alerts]
        else:
            found.append((item.line, item.field))
    return found


ONE, TWO, THREE = (json.dumps(alert(number)) for number in (1, 2, 3))


@pytest.mark.parametrize(
    "body",
    [
        f"{ONE}\n{TWO}\n{THREE}\n",
        f"{ONE}\r\n\r\n{TWO}\r\n{THREE}",
        f"[{ONE}, {TWO}, {THREE}]",
        f'{{"@odata.context": "x", "value": [{ONE}, {TWO}, {THREE}], "next": null}}',
        f'{{"value": [{ONE}, {TWO}]}}\n[{THREE}]',
        json.dumps([alert(1), alert(2), alert(3)], indent=2),
        "\n".join(json.dumps(alert(number), indent=1) for number in (1, 2, 3)),
        f"\ufeff{ONE}\n{TWO}\n{THREE}",
        f"{ONE}\n{TWO}\n{THREE}".encode("utf-16"),
        "\ufeff".encode("utf-16-be") + f"[{ONE},{TWO},{THREE}]".encode("utf-16-be"),
    ],
    ids=[
        "lines",
        "crlf",
        "array",
        "wrapper",
        "wrappers by line",
        "pretty",
        "values",
        "bom",
        "utf-16",
        "utf-16-be",
    ],
)
def test_every_wrapper_gives_the_same_items(body: str | bytes) -> None:
    assert outline(body) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ('{"id": ', ""),
        ('{"id": "x" "y"}', ""),
        ("nonsense", ""),
        ("[]]", ""),
        ("12", ""),
        ('{"id": "1", "id": "2"}', "id"),
        ('{"rule": {"level": NaN}}', "rule.level"),
        ('{"rule": {"level": -Infinity}}', "rule.level"),
        ('{"rule": {"level": 1e999}}', "rule.level"),
        ('{"list": [1, ' + "9" * 5000 + "]}", "list[1]"),
        ('{"a":' * (DEPTH_LIMIT + 1) + "1" + "}" * (DEPTH_LIMIT + 1), ""),
        ('{"a":' * 20_000 + "1" + "}" * 20_000, ""),
        ('{"unknown": "format"}', ""),
        (json.dumps(alert(9, timestamp="soon")), "timestamp"),
        (json.dumps(alert(9, agent=[])), "agent"),
        (json.dumps(alert(9, rule={"level": 3})), "rule.description"),
        (ONE + "garbage", ""),
    ],
    ids=str,
)
def test_a_broken_line_is_refused_and_its_neighbours_are_kept(broken: str, field: str) -> None:
    assert outline(f"{ONE}\n{broken}\n{THREE}") == ["1", (2, field), "3"]


def test_broken_utf8_spoils_only_its_own_line() -> None:
    body = ONE.encode() + b'\n{"id": "\xff\xfe"}\n' + THREE.encode()
    assert outline(body) == ["1", (2, ""), "3"]
    assert "UTF-8" in str(results(body)[1])


@pytest.mark.parametrize("broken", ['{"id": 1 2}', '{"id": NaN}', "7", '{"rule": {"level": 1}, "agent": {}}'])
def test_a_broken_element_of_an_array_is_refused_alone(broken: str) -> None:
    first, second, third = outline(f"[{ONE},\n{broken},\n{THREE}]")
    assert (first, third) == ("1", "3")
    assert isinstance(second, tuple)
    assert second[0] == 2
    assert second[1].startswith("[1]")


@pytest.mark.parametrize(
    "body", ["", " \n\t ", "\ufeff", "[1, 2", '{"value": [' + ONE, "text", '"text"', b"\xff\xfe\x00"]
)
def test_what_is_no_input_is_one_clear_error(body: str | bytes) -> None:
    (error,) = results(body)
    assert isinstance(error, ItemError)
    assert error.reason


def test_an_empty_page_holds_no_items() -> None:
    assert results('{"value": []}') == []
    assert results("[]") == []


def test_ten_megabytes_of_subject_are_refused_by_the_field_name() -> None:
    huge = json.dumps({"id": "x", "subject": "A" * 10_000_000, "other": "b"})
    first, error, last = results(f"{ONE}\n{huge}\n{THREE}")
    assert isinstance(error, ItemError)
    assert (error.line, error.field) == (2, "subject")
    assert "10,000,000" in error.reason
    assert isinstance(first, Item)
    assert isinstance(last, Item)


def test_too_many_tiny_values_are_refused_before_they_take_memory() -> None:
    error = results('{"a": [' + "[]," * 300_000 + "[]]}")[0]
    assert isinstance(error, ItemError)
    assert "values" in error.reason


def test_an_input_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "DOCUMENT_LIMIT", 100)
    (error,) = results(f"{ONE}\n{TWO}")
    assert "100 bytes" in str(error)


def test_a_lone_surrogate_escape_is_taken_and_marked() -> None:
    item = results(ONE.replace("Alert 1", "Alert \\ud800"))[0]
    assert isinstance(item, Item)
    assert item.document.alerts[0].title == "Alert \ufffd"
    assert item.document.alerts[0].altered


def test_alerts_of_the_own_format_are_separate_items_with_their_place() -> None:
    body = native(own_alert(1), own_alert(2, severity="dreadful"), own_alert(3))
    first, error, last = results(body)
    assert isinstance(error, ItemError)
    assert error.field == "alerts[1].severity"
    assert body.splitlines()[error.line - 1].strip() == "{"
    assert [item.document.alerts[0].external_id for item in (first, last) if isinstance(item, Item)] == [
        "1",
        "3",
    ]


def test_a_given_format_is_not_guessed() -> None:
    (error,) = results(ONE, "graph")
    assert isinstance(error, ItemError)
    assert error.field == "id" or "createdDateTime" in error.field or error.field == "title"


@given(st.binary(max_size=200))
def test_no_input_whatever_raises(body: bytes) -> None:
    results(body)


@given(st.data(), st.sampled_from(sorted(FIXTURES.iterdir())))
def test_no_damaged_document_raises(data: st.DataObject, path: Path) -> None:
    body = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    results(bytes(body))
