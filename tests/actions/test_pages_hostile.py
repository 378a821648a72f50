"""Whatever stands in an address or a form: a clear answer, never a fault of the server."""

from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from actioncenter.actions.enums import ActionType, Decision, Execution
from actioncenter.actions.queries import Tab
from actioncenter.web.keyset import seal
from tests import factories
from tests.actions.varied import proposed, put

pytestmark = pytest.mark.django_db
FIELDS = [
    "q", "type", "result", "verdict", "group", "entity", "by", "source", "since", "investigation", "device", "mailbox",
    "approval", "sort", "size", "columns",
]  # fmt: skip
VALUES = [
    "\x00", "a\x00b", "x" * 5000, "-1", "0", "9" * 30, "1e9", "' OR 1=1 --", "<script>alert(1)</script>", "\u202eexe.fdp",
    "\ud7ff\ue000", "٣", "%", "_%_", "../../etc", "None", "[]", "{}", "true", "\n",
]  # fmt: skip
NAMES = [
    '"><img src=x onerror=alert(1)>', "js:alert(1)", "{{ 7*7 }}{% now 'Y' %}", "invoice\u202efdp.exe", "\u200b\u2060\ufeff", "=cmd|' /C calc'!A0",
    "C:\\" + "x" * 500, "'; DROP TABLE actions_action; --", "\u2066\u202e\u2069", "a\nb\rc",
]  # fmt: skip


@pytest.fixture
def mira(client: Client) -> Client:
    client.force_login(factories.person("mira"))
    return client


@pytest.mark.parametrize("field", FIELDS)
def test_a_value_that_makes_no_sense_is_said_and_ignored(mira: Client, field: str) -> None:
    proposed()
    for tab in Tab:
        for value in VALUES:
            answer = mira.get(f"/action-center/{tab}?{field}={quote(value)}")
            complained = b'class="notice warning"' in answer.content
            assert answer.status_code == (400 if complained else 200), value
            assert b"<script>alert" not in answer.content


@pytest.mark.parametrize(
    "field", ["type", "verdict", "group", "entity", "source", "since", "approval", "device", "sort", "size"]
)
def test_an_ignored_value_is_complained_about(mira: Client, field: str) -> None:
    answer = mira.get(f"/action-center/history?{field}=nonsense")

    assert answer.status_code == 400
    assert b'class="notice warning"' in answer.content
    assert answer.context["chips"] == []
    assert "nonsense" not in answer.context["list_url"]


def test_two_letters_are_too_few_to_search_for(mira: Client) -> None:
    assert b"at least 3 characters" in mira.get("/action-center/pending?q=ab").content


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Target": "div#rows"}])
@pytest.mark.parametrize(
    "token",
    [
        "1", "x" * 5000, "\x00", "%00", "999999999999999999999", "eyJuIjoxfQ:abc", "../..", "ü",
        seal({"s": "ended", "v": ["x", 1], "b": False, "n": 1}), seal({"s": "-target", "n": 1}), seal({"n": 1}),
    ],
)  # fmt: skip
def test_a_page_that_does_not_exist(mira: Client, token: str, headers: dict[str, str]) -> None:
    answer = mira.get(f"/action-center/history?page={quote(token)}", headers=headers)

    assert answer.status_code == 400
    assert b"This page of the list can" in answer.content
    assert b"data-notice" in answer.content


@pytest.mark.parametrize("number", ["0", "-1", "abc", "\x00", "9" * 30, str(2**63), "1.5", "٣", "A-1", "1e3"])
def test_an_action_that_can_not_exist(mira: Client, number: str) -> None:
    assert mira.get(f"/action-center/pending?open={quote(number)}").status_code == 404
    assert mira.get(f"/action-center/actions/{quote(number)}").status_code == 404
    assert mira.post(f"/action-center/actions/{quote(number)}/approve").status_code == 404


@pytest.mark.parametrize("verb", ["delete", "Approve", "__class__", "resolve", "run"])
def test_a_verb_that_does_not_exist(mira: Client, verb: str) -> None:
    assert mira.post(f"/action-center/actions/{proposed().pk}/{verb}").status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"comment": "\x00"}, {"comment": "x" * 4001}, {"revision": "x"}, {"revision": "-1"}, {"revision": "9" * 40},
        {"idempotency_key": "x" * 101}, {"idempotency_key": "\x00"}, {"next": "\x00"},
    ],
)  # fmt: skip
def test_a_field_that_makes_no_sense_is_named(mira: Client, fields: dict[str, Any]) -> None:
    action = factories.waiting_action()

    answer = mira.post(f"/action-center/actions/{action.pk}/approve", fields)
    assert answer.status_code == 400
    assert f"{next(iter(fields))}:" in answer.content.decode()
    action.refresh_from_db()
    assert action.decision == Decision.PENDING


def test_a_form_of_ten_megabytes(mira: Client) -> None:
    action = factories.waiting_action()

    assert (
        mira.post(f"/action-center/actions/{action.pk}/approve", {"comment": "x" * 10_000_000}).status_code
        == 400
    )


@pytest.mark.parametrize("headers", [
    {"HX-Request": "true"}, {"HX-Request": "true", "HX-Target": "x" * 3000}, {"HX-Target": "#"}, {"HX-PTag": "x"},
    {"HX-Request": "true", "HX-Target": "script#evil"}, {"HX-Request": "yes", "HX-Target": "pane"},
])  # fmt: skip
def test_headers_of_any_kind_get_a_page(mira: Client, headers: dict[str, str]) -> None:
    assert mira.get("/action-center/pending", headers=headers).status_code == 200
    assert mira.get(f"/action-center/actions/{proposed().pk}", headers=headers).status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_names_from_outside_are_shown_and_never_run(mira: Client, name: str) -> None:
    waiting = proposed(name=name, on=name, group_name=name[:120])
    ended = put(
        proposed(ActionType.BLOCK_URL, name=name, on=name[:20]), Decision.APPROVED, Execution.SUCCEEDED
    )

    for address in (
        "/action-center/pending", "/action-center/history", f"/action-center/pending?open={waiting.pk}",
        f"/action-center/actions/{ended.pk}",
    ):  # fmt: skip
        text = mira.get(address).content.decode()
        assert "<img src=x" not in text
        assert "\u202e" not in text
        assert "{{ 49" not in text
