"""A log with personal text in it, and two admins who may take it out."""

from typing import Final

from actioncenter.accounts.models import User
from actioncenter.actions.models import Action
from actioncenter.audit.actor import Actor
from actioncenter.audit.models import Event, Redaction
from actioncenter.auditor import redacting
from actioncenter.auditor.models import RedactionRequest
from actioncenter.settings.enums import Role
from tests import factories
from tests.audit.drafts import seal

SECRET: Final = "Anna Quistgaard, +49 151 5550123"
FIELD: Final = "detail.comment"


def admin(name: str) -> Actor:
    """Who has just given their password."""
    found = User.objects.filter(username=name).first()
    return factories.actor(found or User.objects.enrol(name, by=factories.SETUP, roles=[Role.ADMIN]))


def told() -> Event:
    """The approval of an action, whose comment names somebody, sealed; others come before and after it."""
    action = factories.waiting_action().approve(by=factories.actor(factories.person("mira")), comment=SECRET)
    factories.waiting_action()
    seal()
    return Event.objects.get(stream=f"action:{action.pk}", kind="action.approved")


def asked(event: Event, field: str = FIELD, by: str = "noa") -> RedactionRequest:
    return RedactionRequest.request(event.pk, [field], by=admin(by), reason="They asked for it.")


def redact(event: Event, field: str = FIELD) -> Redaction:
    done = redacting.approve(asked(event, field), by=admin("eva"))
    seal()
    return done


def action_of(event: Event) -> Action:
    return Action.objects.get(pk=event.stream.removeprefix("action:"))
