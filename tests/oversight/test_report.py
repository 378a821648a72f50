"""The report: every requirement, the tests that carry it, how they ended."""

import json
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from actioncenter.ops.management.commands import oversight
from actioncenter.ops.oversight import catalogue
from actioncenter.ops.oversight.carried import carrying
from actioncenter.ops.oversight.catalogue import Requirement, requirements
from actioncenter.ops.oversight.report import OUTCOMES, State, last_outcomes, rows
from tests.outcomes import KEY, Outcomes, function_of

TESTS = Path(settings.BASE_DIR) / "tests"
KERNEL = [item for item in requirements() if catalogue.DECISIONS in item.owners]
OWED = {"HO-009", "HO-014", "HO-016", "HO-018"}
"""What comes with the settings."""


def one(**fields: Any) -> Requirement:
    return Requirement(**({"id": "HO-001", "owners": "K", "does": "It waits."} | fields))


def test_every_requirement_is_listed_once() -> None:
    ids = [item.id for item in requirements()]

    assert ids == [
        *(f"HO-{number:03}" for number in range(1, 20)),
        "A01", "A02", "SC-014", "SC-017", "SE-009", "AL-016", "AL-025", "AL-026",
        *(f"X-{number}" for number in range(1, 10)),
    ]  # fmt: skip


@pytest.mark.parametrize("item", requirements(), ids=lambda item: item.id)
def test_every_requirement_says_what_we_do_and_why_not_yet(item: Requirement) -> None:
    assert set(item.owners) <= set("KPSAXN")
    assert item.does.endswith(".")
    assert not item.owed or item.owed.endswith(".")


def test_what_comes_with_the_settings_is_owed() -> None:
    assert {item.id for item in requirements() if item.owed} >= OWED


@pytest.mark.parametrize("item", [item for item in KERNEL if not item.owed], ids=lambda item: item.id)
def test_every_requirement_of_the_kernel_is_carried(item: Requirement) -> None:
    assert carrying(TESTS).get(item.id), f"no test carries {item.id}"


def test_no_test_carries_what_is_no_requirement() -> None:
    assert set(carrying(TESTS)) <= {item.id for item in requirements()}


SOURCE = """
import pytest
pytestmark = [pytest.mark.django_db, pytest.mark.oversight("X-8")]

@pytest.mark.parametrize("n", [1])
@pytest.mark.oversight("HO-001", "HO-003")
def test_one(n): ...

def helper(): ...

class TestMore:
    @pytest.mark.oversight("HO-001")
    async def test_two(self): ...

    def test_three(self): ...
"""


def test_marks_are_read_without_importing(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "deep"
    folder.mkdir(parents=True)
    (folder / "test_it.py").write_text(SOURCE + "\nraise SystemExit", encoding="utf-8")
    (folder / "helper.py").write_text(SOURCE, encoding="utf-8")
    it = "tests/deep/test_it.py"

    assert carrying(tmp_path / "tests") == {
        "X-8": [f"{it}::test_one", f"{it}::TestMore::test_two", f"{it}::TestMore::test_three"],
        "HO-001": [f"{it}::test_one", f"{it}::TestMore::test_two"],
        "HO-003": [f"{it}::test_one"],
    }


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ({}, State.NOT_RUN),
        ({"t::a": "passed"}, State.HELD),
        ({"t::a[1]": "passed", "t::a[2]": "failed"}, State.FAILING),
        ({"t::a[1]": "passed", "t::a[2]": "skipped"}, State.NOT_RUN),
        ({"t::ab": "passed"}, State.NOT_RUN),
    ],
)
def test_a_test_is_as_good_as_its_worst_parameter(outcomes: dict[str, str], state: State) -> None:
    (row,) = rows([one()], {"HO-001": ["t::a"]}, outcomes)

    assert row.tests == {"t::a": state}


@pytest.mark.parametrize(
    ("fields", "carried", "outcomes", "broken"),
    [
        ({}, {}, {}, True),
        ({"owed": "Later."}, {}, {}, False),
        ({"owners": "P"}, {}, {}, False),
        ({}, {"HO-001": ["t::a"]}, {}, False),
        ({}, {"HO-001": ["t::a"]}, {"t::a": "failed"}, True),
        ({"owners": "PN"}, {"HO-001": ["t::a"]}, {"t::a": "failed"}, False),
    ],
)
def test_what_breaks_the_report(
    fields: dict[str, str], carried: dict[str, list[str]], outcomes: dict[str, str], broken: bool
) -> None:
    (row,) = rows([one(**fields)], carried, outcomes)

    assert row.is_broken is broken


@pytest.mark.parametrize("content", [None, "", "[]", "{"])
def test_no_outcomes_means_not_run(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / OUTCOMES
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_text(content, encoding="utf-8")

    assert last_outcomes(tmp_path) == {}


def test_outcomes_lie_where_the_report_reads() -> None:
    assert OUTCOMES.as_posix().endswith(f"/v/{KEY}")
    assert "/".join(OUTCOMES.parts[:1]) + "/" in (Path(settings.BASE_DIR) / ".gitignore").read_text("utf-8")


class Cache(dict[str, Any]):
    def set(self, key: str, value: Any) -> None:
        self[key] = value


def test_a_run_replaces_what_the_same_test_did_before() -> None:
    session: Any = type("S", (), {"config": type("C", (), {"cache": Cache()})})
    session.config.cache.set(KEY, {"t::a[gone]": "failed", "t::b": "passed"})
    plugin = Outcomes()
    plugin.carrying = {"t::a[1]"}
    for when, outcome in (("setup", "passed"), ("call", "failed"), ("teardown", "passed")):
        report = pytest.TestReport("t::a[1]", ("", 0, ""), {}, outcome, None, when)
        plugin.pytest_runtest_logreport(report)
        plugin.pytest_runtest_logreport(pytest.TestReport("t::other", ("", 0, ""), {}, outcome, None, when))
    plugin.pytest_sessionfinish(session)

    assert session.config.cache[KEY] == {"t::b": "passed", "t::a[1]": "failed"}
    assert function_of("t::a[1-[x]]") == "t::a"


def report(*arguments: str) -> str:
    """Whether anything is broken depends on the last run and is no matter here."""
    out = StringIO()
    with suppress(CommandError):
        call_command("oversight", "report", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_lists_everything_in_words_and_as_json() -> None:
    text, document = report(), json.loads(report("--json"))

    assert "OWASP" in text
    assert "CC BY-SA 4.0" in document["credit"]
    assert [item["id"] for item in document["requirements"]] == [item.id for item in requirements()]
    assert all(item.id in text and item.does in text for item in requirements())
    assert {item["id"] for item in document["requirements"] if item["owed"]} >= OWED


def test_a_broken_requirement_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oversight, "requirements", lambda: [one(id="HO-999")])

    with pytest.raises(CommandError, match="HO-999") as broken:
        call_command("oversight", "report", stdout=StringIO())
    assert broken.value.returncode == 1
