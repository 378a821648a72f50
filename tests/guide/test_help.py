"""Every page leads to its piece of the documents, and the documents lead to each other."""

import re

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from actioncenter.guide import documents
from actioncenter.guide.places import PIECES, PLACES
from tests import factories

pytestmark = pytest.mark.django_db
NO_PIECE = {
    "sign_in": "nobody is signed in yet",
    "sign_out": "leads to the sign-in page",
    "theme": "leads back",
    "actions:export": "a file",
    "actions:targets_file": "a file",
    "actions:reports_file": "a file",
    "actions:artefact_file": "a file",
    "settings:authority_file": "a file",
    "auditor:report_file": "a file",
    "feeds:pull": "a file",
    "feeds:pull_by_address": "a file",
    "feeds:click": "for whoever has a signed link",
    "live:counts": "a part of other pages",
    "ops:metrics": "figures for Prometheus",
    "guide:tour": "leads on to a page",
    "guide:end_tour": "leads back",
}
"""Addresses without a page of the product, and why."""


def addresses(patterns: list[URLPattern | URLResolver], space: str = "") -> set[str]:
    found = set()
    for each in patterns:
        if isinstance(each, URLResolver):
            found |= addresses(each.url_patterns, f"{each.namespace}:" if each.namespace else space)
        else:
            found.add(f"{space}{each.name}")
    return found


def test_every_page_has_its_piece() -> None:
    assert set(PLACES) | set(NO_PIECE) == addresses(get_resolver().url_patterns)
    assert not set(PLACES) & set(NO_PIECE)


@pytest.mark.parametrize("place", PIECES)
def test_every_piece_exists(place: str) -> None:
    name, _, anchor = place.partition("#")
    found = documents.document(name)

    assert found is not None
    assert not anchor or anchor in {section.anchor for section in found.sections}


@pytest.mark.parametrize("name", documents.names())
def test_a_document_is_a_page_whose_links_lead_somewhere(name: str, client: Client) -> None:
    client.force_login(factories.person("mira"))
    page = client.get(documents.address_of(name)).content.decode()
    article = page[page.index("<article") : page.index("</article>")]
    words = re.sub(r"<pre>.*?</pre>|<code>.*?</code>|<[^>]+>", " ", article, flags=re.DOTALL)

    assert re.findall(r"\*\*|`|\]\(|^\||^#", words, re.MULTILINE) == []
    for href in re.findall(r'href="(/help/[^"]*|#[^"]*)"', page):
        path, _, anchor = href.partition("#")
        if path:
            answer = client.get(path)
            assert answer.status_code == 200, href
        text = answer.content.decode() if path else page
        assert not anchor or f"id='{anchor}'" in text or f'id="{anchor}"' in text, href


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/action-center/pending", "/help/analyst#pending-what-waits-for-you"),
        ("/action-center/actions/999999", "/help/analyst#reading-an-action"),
        ("/reports/", "/help/analyst#reports"),
        ("/settings/stops", "/help/admin#stops-and-pauses"),
        ("/nothing-like-that", "/help/"),
    ],
)
def test_a_page_leads_there(path: str, place: str, client: Client) -> None:
    client.force_login(factories.person("mira"))

    assert f'href="{place}">' in client.get(path).content.decode()


@pytest.mark.parametrize("name", ["../README", "adr/0001-decisions", "analyst.md", "nothing", "operator/"])
def test_nothing_else_is_shown(name: str, client: Client) -> None:
    client.force_login(factories.person("mira"))

    assert client.get(reverse("guide:document", args=[name])).status_code == 404


def test_the_documents_are_for_who_is_signed_in(client: Client) -> None:
    assert client.get("/help/analyst").status_code == 302
