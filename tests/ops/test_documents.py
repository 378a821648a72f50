"""The documents say what is so: what can be checked in them is."""

import re
from io import BytesIO

import pytest

from actioncenter.accounts.management.commands import person
from actioncenter.actions import intake
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.audit.actor import Actor
from investigations.intake.recognise import Item, read
from tests import factories
from tests.architecture.tree import ROOT, files, named

DOCUMENTS = [path for path in files(".md") if path.parent in {ROOT, ROOT / "docs"}]
MADE_LATER = "docs/img/"
"""Screenshots are written by the browser tests."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.django_db
def test_tour_of_the_readme_leads_to_what_it_promises() -> None:
    factories.group()
    pasted = re.search(r"<<'END'\n(.+?)\nEND\n", text_of("README.md"), re.DOTALL)
    assert pasted
    (item,) = read(BytesIO(pasted[1].encode()))
    assert isinstance(item, Item)

    receipt = intake.record(item.document, by=Actor.command("ingest"))

    assert [action.entry.code for action in receipt.actions] == ["quarantine_file", "remove_task"]


def test_table_of_undo_is_that_of_the_catalogue() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.*?) ?\|$", text_of("docs/analyst.md"), re.MULTILINE)
    expected = []
    for entry in CATALOGUE.values():
        if not entry.is_inverse and entry.inverse is None:
            expected.append((entry.label, "–", ""))
        elif not entry.is_inverse and entry.inverse is not None:
            days = f"{entry.undo_days} days" if entry.undo_days else "ever"
            expected.append((entry.label, CATALOGUE[entry.inverse].label, days))

    assert [row for row in rows if row[0] in {label for label, _, _ in expected}] == expected


def test_commands_about_people_exist() -> None:
    verbs = re.findall(r"manage\.py person (\w+)", text_of("docs/admin.md"))
    parser = person.Command().create_parser("manage.py", "person")
    known = next(action.choices for action in parser._actions if action.dest == "verb")

    assert set(verbs) <= set(known or ())
    assert verbs


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_lead_somewhere(path: object) -> None:
    assert isinstance(path, type(ROOT))
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link and MADE_LATER not in link]

    assert [link for link in inside if not (path.parent / link).exists()] == []
