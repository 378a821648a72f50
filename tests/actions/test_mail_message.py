"""Looking inside one message that was found: asked for, logged, brought by the runner, shown as text."""

from collections.abc import Callable
from typing import Any

import pytest

from actioncenter.actions.enums import JobState
from actioncenter.actions.models import ConnectorJob, MailHit
from actioncenter.actions.models.searching import contents
from actioncenter.actions.permissions import Refused
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import Role
from investigations.queries import bind_to_simulator
from tests import factories
from tests.actions.test_explorer_pages import page, signed_in
from tests.actions.test_exploring import by, searched

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
EVIL = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}pay"


@pytest.fixture
def hit(estate: Estate, run: Run) -> MailHit:
    bind_to_simulator([])
    told: dict[str, Any] = {
        "stable_id": "evil", "message_id": "<e@evil.example>", "sender": "e@evil.example", "subject": "Pay",
        "text": f"Dear Bo\n{EVIL}", "urls": ["https://evil.example/pay"],
        "attachments": [{"name": "bill.zip", "sha256": "a" * 64, "size": 1234}],
    }  # fmt: skip
    estate.seed({"mailboxes": [{"address": "bo@corp.example", "messages": [told]}]})
    return searched(run, sender="e@evil.example").hits.get()


def at(hit: MailHit) -> str:
    return f"/email/explorer/{hit.search_id}/messages/{hit.pk}"


def test_it_is_asked_for_logged_brought_and_shown_as_text(hit: MailHit, run: Run) -> None:
    aiko = signed_in("aiko")
    assert "Dear Bo" not in page(aiko, at(hit))
    assert not Event.objects.filter(kind=Kind.SEARCH_MESSAGE_OPENED).exists()
    aiko.post(at(hit))
    (event,) = Event.objects.filter(kind=Kind.SEARCH_MESSAGE_OPENED)
    assert event.actor == factories.person("aiko").ref
    assert event.detail == {
        "mailbox": "bo@corp.example",
        "message_id": "<e@evil.example>",
        "stable_id": "evil",
    }
    assert "Being opened" in page(aiko, at(hit))
    run()
    text = page(aiko, at(hit))
    assert "Dear Bo" in text
    assert "bill.zip" in text
    assert "hxxps://evil[.]example/pay" in text
    assert "https://evil.example" not in text
    assert "<script>alert" not in text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text


def test_what_it_says_is_kept_sealed(hit: MailHit, run: Run) -> None:
    hit.open(by=by("aiko"))
    run()
    job = ConnectorJob.objects.get(request__hit=hit.pk)
    assert "Dear Bo" not in str(job.result)
    found = contents(job)
    assert found is not None
    assert found["text"].startswith("Dear Bo")


@pytest.mark.parametrize("who", ["kim", "mira", "ivo"])
def test_only_who_may_act_on_mail_looks_inside(hit: MailHit, who: str) -> None:
    client = signed_in(who)
    assert "Look inside" not in page(client, at(hit))
    assert client.post(at(hit)).status_code == 403
    with pytest.raises(Refused):
        hit.open(by=by(who))
    assert not Event.objects.filter(kind=Kind.SEARCH_MESSAGE_OPENED).exists()


def test_everybody_asks_for_themselves_and_once(hit: MailHit, run: Run) -> None:
    for _ in range(2):
        hit.open(by=by("aiko"))
    run()
    assert "Dear Bo" not in page(signed_in("sam"), at(hit))
    hit.open(by=by("sam"))
    assert Event.objects.filter(kind=Kind.SEARCH_MESSAGE_OPENED).count() == 2


def test_without_the_right_what_was_brought_is_shown_no_more(hit: MailHit, run: Run) -> None:
    aiko = factories.person("aiko")
    hit.open(by=by("aiko"))
    run()
    aiko.grant(Role.ANALYST, by=by("noa"))
    aiko.revoke(Role.EMAIL_RESPONDER, by=by("noa"))
    assert "Dear Bo" not in page(signed_in("aiko"), at(hit))


def test_what_is_gone_says_so_and_can_be_asked_for_again(hit: MailHit, estate: Estate, run: Run) -> None:
    estate.vanish("message", "evil")
    hit.open(by=by("aiko"))
    run()
    assert ConnectorJob.objects.get(request__hit=hit.pk).state == JobState.FAILED
    text = page(signed_in("aiko"), at(hit))
    assert "no longer there" in text
    assert "Look inside" in text


def test_a_message_of_another_search_is_none_of_this_one(hit: MailHit, run: Run) -> None:
    other = searched(run)
    assert signed_in("aiko").get(f"/email/explorer/{other.pk}/messages/{hit.pk}").status_code == 404
