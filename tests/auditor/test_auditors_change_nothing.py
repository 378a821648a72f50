"""An auditor sees everything and changes nothing: every address of the product is tried."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from django.apps import apps
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from actioncenter.accounts.models import Answer, Notice
from actioncenter.actions.abilities import BUTTONS
from actioncenter.actions.enums import Decision, Execution
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ApprovalRule
from tests import factories
from tests.actions.conftest import estate, run
from tests.actions.varied import proposed, put
from tests.auditor.asked import CASES
from tests.auditor.lives import Run
from tests.settings.stopping import stop_file

__all__ = ["estate", "run", "stop_file"]
pytestmark = pytest.mark.django_db
OWN: Final = {
    "sign_in", "sign_out", "confirm_identity", "theme", "read_notices", "read_notice", "notices_by_mail", "choose_keys",
    "switch_keys", "actions:columns", "actions:save_view", "actions:rename_view", "actions:remove_view",
}  # fmt: skip
"""A person's own session, looks, keys, columns, notices and names for lists."""
ALLOWED: Final = {"auditor:verify"}
"""What an auditor may ask for; it changes nothing that is audited."""
PER_ROW: Final = {"actions:bulk"}
"""Answers for each row, with its refusal."""
WITH_TOKENS: Final = {"ops:metrics", "feeds:click", "feeds:pull", "feeds:pull_by_address"}
"""Read by machines and by links in mail, with a secret of their own."""
OTHERS_FORMS: Final = [
    name
    for name in CASES
    if name.split(" ")[0] not in ALLOWED | OWN - {"actions:rename_view", "actions:remove_view"}
]
"""An auditor has names for lists too, but these are of others."""
OUT_OF_SIGHT: Final = {"actions:rename_view", "actions:remove_view"}
"""Nobody else's own names are seen."""
NO: Final = frozenset({403, 404, 405})
WORDS: Final = (*BUTTONS, "isolate", "scan", "release_device", "exclusion", "indicator", "2026-11")


def routes(resolver: URLResolver, before: str = "", space: str = "") -> Iterator[tuple[str, str]]:
    """Name and pattern of every address."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLPattern):
            yield f"{space}{entry.name}", f"/{before}{entry.pattern}"
        else:
            inner = f"{space}{entry.namespace}:" if entry.namespace else space
            yield from routes(entry, f"{before}{entry.pattern}", inner)


ROUTES: Final = dict(routes(get_resolver()))


@pytest.fixture
def numbers() -> set[int]:
    """Of something in every state that somebody may act on."""
    mira, noa = factories.actor(factories.person("mira")), factories.actor(factories.person("noa"))
    group = factories.group("Raised", AutomationLevel.SEMI_ALL)
    raised = group.change_level(AutomationLevel.FULL, by=noa, comment="Test")
    made: list[Any] = [
        factories.waiting_action(),
        factories.waiting_mail_action(),
        factories.waiting_action().approve(by=mira),
        put(proposed(name="done"), Decision.APPROVED, Execution.SUCCEEDED),
        put(proposed(name="unclear"), Decision.APPROVED, Execution.OUTCOME_UNKNOWN),
        put(proposed(name="failed"), Decision.APPROVED, Execution.FAILED),
        factories.device(),
        group,
        raised,
        ApprovalRule.objects.first(),
        Notice.objects.create(user=factories.person("mira"), kind="x", title="x"),
    ]
    return {1, *(row.pk for row in made if row is not None)}


def sent(number: int) -> dict[str, Any]:
    """Whatever any form of the product may want."""
    return {
        "idempotency_key": str(uuid4()), "revision": "1", "comment": "Because", "reason": "Because", "verb": "approve",
        "selected": [f"{number}:1"], "level": "4", "scope": "1", "kind": "pause", "what": "all", "max_parallel": "1", "per_minute": "1", "seen": "", "mode": "click", "justified": "yes",
        "hours": "4", "happened": "yes", "to": str(factories.person("mira").pk), "user": str(factories.person("mira").pk),
        "next": "/", "minutes": "60", "value": "", "typed": str(number),
    }  # fmt: skip


def everything() -> dict[str, Any]:
    """Every row of ours, but the answers that a form gets when it is sent again, and what the log says of refusals."""
    ours = [
        config
        for config in apps.get_app_configs()
        if config.name.startswith(("actioncenter.", "investigations"))
    ]
    tables = [model for config in ours for model in config.get_models(include_auto_created=True)]
    found = {
        table._meta.label: list(table._base_manager.order_by("pk").values())
        for table in tables
        if table is not Answer
    }
    found["audit.Event"] = [event for event in found["audit.Event"] if event["kind"] != Kind.ACCESS_REFUSED]
    return found


def addresses(pattern: str, numbers: set[int]) -> Iterator[tuple[int, str]]:
    for number in sorted(numbers):
        numbered = re.sub(r"<int:\w+>", str(number), pattern)
        for word in WORDS if "<" in numbered else ("",):
            yield number, re.sub(r"<(slug|str):\w+>", word, numbered)
        if numbered == pattern:
            break


@pytest.mark.oversight("HO-005")
def test_nothing_can_be_changed(client: Client, numbers: set[int]) -> None:
    """In one test: what there is to be changed takes longer to make than to be tried."""
    client.force_login(factories.person("ivo"))
    before, wrong = everything(), {}
    for name in sorted(set(ROUTES) - OWN - ALLOWED):
        for number, address in addresses(ROUTES[name], numbers):
            status = client.post(address, sent(number)).status_code
            if status not in NO and not (name in PER_ROW and status == 302):
                wrong[address] = status
        assert everything() == before, name

    assert wrong == {}


@pytest.mark.oversight("HO-005")
@pytest.mark.parametrize("name", OTHERS_FORMS)
def test_no_form_that_somebody_else_could_send(
    name: str, client: Client, run: Run, estate: Estate, stop_file: Path
) -> None:
    """Ready to be sent, and there is what it is about: only who asks is wrong."""
    client.force_login(factories.person("ivo"))
    factories.prove(client)
    address, form = CASES[name].prepare(run, estate)
    before = everything()
    answer = client.post(address, form)
    assert everything() == before
    (refused,) = Event.objects.filter(kind=Kind.ACCESS_REFUSED, request_id=answer["X-Request-Id"])
    assert refused.detail is not None
    if name.split(" ")[0] in PER_ROW:
        assert set(refused.detail["rows"]) == set(form["selected"])
        assert set(refused.detail["rows"].values()) == {"denied"}
    else:
        assert answer.status_code == (404 if name.split(" ")[0] in OUT_OF_SIGHT else 403)


@pytest.mark.parametrize("name", OTHERS_FORMS)
def test_they_change_something_for_whom_they_are_meant(
    name: str, client: Client, run: Run, estate: Estate, stop_file: Path
) -> None:
    case = CASES[name]
    client.force_login(factories.person(case.who))
    factories.prove(client)
    address, form = case.prepare(run, estate)
    before = everything()
    client.post(address, form)
    assert everything() != before


def test_somebody_else_could(client: Client, numbers: set[int]) -> None:
    """So that the numbers above are those of something, and the forms are filled in."""
    client.force_login(factories.person("noa"))
    factories.prove(client)
    changed = set()
    for name in (
        "actions:decide",
        "settings:stop",
        "settings:pace",
        "settings:cancel_level",
    ):
        for number, address in addresses(ROUTES[name], numbers):
            if client.post(address, sent(number)).status_code in (302, 303):
                changed.add(name)

    assert changed == set(CHANGES)


def test_asking_for_a_verification_is_all_that_is_allowed(client: Client) -> None:
    client.force_login(factories.person("ivo"))
    form = sent(1)
    before = everything()
    for name in ALLOWED:
        assert client.post(ROUTES[name], form).status_code == 302
    changed = {name for name, rows in everything().items() if rows != before[name]}

    assert changed == {"audit.Event", "auditor.VerificationRun"}


def test_every_page_is_seen(client: Client, numbers: set[int]) -> None:
    """Reading is what an auditor is for: no address refuses that has a page."""
    client.force_login(factories.person("ivo"))
    refused = set()
    for name in set(ROUTES) - WITH_TOKENS:
        found = {client.get(address).status_code for _, address in addresses(ROUTES[name], numbers)}
        if found & {403} or not found & {200, 302, 404, 405}:
            refused.add(name)

    assert refused == set()


CHANGES: Final = (
    "settings:cancel_level",
    "actions:decide",
    "settings:pace",
    "settings:stop",
)
