"""Lives of actions, as the product lets them be: every decision, every end, and what may happen after it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from actioncenter.actions import escalation
from actioncenter.actions.enums import ActionType, Decision, Execution, Source, TargetState
from actioncenter.actions.execution import asking, claiming, loop, timers
from actioncenter.actions.models import Action, MailHit, MailSearch, attempting, settling
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.auditor.verification import differences
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ApprovalRule, ConnectorInstance
from investigations.queries import bind_to_simulator
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.directly import taken
from tests.actions.in_force import isolate_there, look, set_free
from tests.actions.model_based import stage

Run = Callable[..., None]
Life = Callable[[Run, Estate], Action]
HOUR: Final = timedelta(hours=1)


def by(name: str) -> Actor:
    return factories.actor(factories.person(name))


def by_hand(run: Run, estate: Estate) -> tuple[str, dict[str, str]]:
    """An address and what is sent there."""
    device = factories.device(in_group=factories.group())
    return f"/devices/{device.pk}/isolate", {"isolation": "full", "hours": "0", "comment": "It beacons."}


def looked_at_first(run: Run, estate: Estate) -> tuple[str, dict[str, str]]:
    return by_hand(run, estate)[0], {"look": "yes"}


def approved(run: Run, estate: Estate) -> Action:
    return factories.waiting_action().approve(by=by("mira"), comment="Not ours.")


def done(run: Run, estate: Estate) -> Action:
    action = approved(run, estate)
    run(action)
    return action


def failed(run: Run, estate: Estate) -> Action:
    estate.behave("refuse", "protected")
    action = done(run, estate)
    estate.behave_normally()
    return action


def isolated(run: Run, hours: int = 0) -> Action:
    action = taken(ActionType.ISOLATE_DEVICE, factories.device(in_group=factories.group()), hours=hours)
    run(action)
    return action


def mail_approved(run: Run, messages: int = 10) -> Action:
    """A cluster, which is carried out through the messages of its plan."""
    action = factories.waiting_mail_action(messages=messages)
    run(action)
    return action.approve(by=by("aiko"))


def partly_done(run: Run, estate: Estate) -> Action:
    action = mail_approved(run)
    estate.behave("partial", 0.3)
    run(action)
    estate.behave_normally()
    return action


def lost(run: Run, estate: Estate) -> Action:
    action = approved(run, estate)
    estate.behave("timeout_after_effect", True, times=1)
    loop.drain(by=RUNNER)
    return action


def expired(run: Run, estate: Estate) -> Action:
    action = factories.waiting_action()
    Action.objects.filter(pk=action.pk).update(expires_at=Now())
    Action.objects.expire_due(by=RUNNER)
    return action


def withdrawn(run: Run, estate: Estate) -> Action:
    action = factories.waiting_action()
    action.withdraw("withdrawn_verdict", by=Actor.automation())
    return action


def claimed(run: Run, estate: Estate) -> Action:
    action = approved(run, estate)
    claiming.claim_one(action.pk, "first", by=RUNNER)
    return action


def out_of_patience(run: Run, estate: Estate) -> Action:
    action = approved(run, estate)
    settling.stop_queued(action, TargetState.TIMED_OUT, by=RUNNER, code="patience_ended", detail="Too late.")
    return action


def cancelled(run: Run, estate: Estate) -> Action:
    action = approved(run, estate).request_cancel(by=by("mira"), comment="Wait.")
    run(action)
    return action


DECIDED: Final[Mapping[Decision, Life]] = {
    Decision.NOT_REQUIRED: lambda run, estate: isolated(run),
    Decision.PENDING: lambda run, estate: factories.waiting_action(),
    Decision.APPROVED: approved,
    Decision.REJECTED: lambda run, estate: factories.waiting_action().reject(by=by("mira"), comment="Ours."),
    Decision.EXPIRED: expired,
    Decision.WITHDRAWN: withdrawn,
}
CARRIED_OUT: Final[Mapping[Execution, Life]] = {
    Execution.NONE: lambda run, estate: factories.waiting_action(),
    Execution.QUEUED: approved,
    Execution.IN_PROGRESS: claimed,
    Execution.OUTCOME_UNKNOWN: lost,
    Execution.SUCCEEDED: done,
    Execution.PARTLY_SUCCEEDED: partly_done,
    Execution.FAILED: failed,
    Execution.TIMED_OUT: out_of_patience,
    Execution.CANCELLED: cancelled,
}


def edited(run: Run, estate: Estate) -> None:
    way = stage.Way("kim", Decision.PENDING, Source.MANUAL_DEVICE)
    action = stage.build().propose(way, devices=1, quorum=1, key="form")
    action.edit({"hours": 8}, by=by("sam"), revision=1).approve(by=by("mira"), revision=2)


def several_people(run: Run, estate: Estate) -> None:
    ApprovalRule.objects.create(quorum=2)
    alone, voted = factories.waiting_actions(2)
    voted.approve(by=by("mira")).approve(by=by("sam"))
    alone.break_the_glass(by=by("mira"), comment="It spreads.")
    alone.review.judge(by=by("sam"), justified=True, comment="It did.")


def many_at_once(run: Run, estate: Estate) -> None:
    Action.objects.approve_many([row.pk for row in factories.waiting_actions(3)], by=by("mira"))
    Action.objects.reject_many([row.pk for row in factories.waiting_actions(2)], by=by("sam"), comment="No.")


def retried(run: Run, estate: Estate) -> None:
    action = failed(run, estate).retry(by=by("mira"))
    assert list(differences()) == []
    run(action)


def resolved(run: Run, estate: Estate) -> None:
    lost(run, estate).resolve_unknown(by=by("mira"), happened=True, comment="The file is gone.")


def contradicted(run: Run, estate: Estate) -> None:
    """The row can't become what its targets say, and a person settles that."""
    attempt = claiming.claim_one(approved(run, estate).pk, "first", by=RUNNER)
    assert attempt is not None
    attempting.abandon(attempt, error="It makes no sense.", by=RUNNER)
    assert list(differences()) == []
    attempt.action.resolve_unknown(by=by("mira"), happened=False, comment="Still there.")


def undone_anew(run: Run, estate: Estate) -> None:
    """The first undo is cancelled, the second fails and is acknowledged, the third succeeds."""
    action = isolated(run)
    action.undo(by=by("mira"), comment="Harmless.").request_cancel(by=by("mira"))
    run(action)
    assert action.undone_by is None
    assert list(differences()) == []
    estate.behave("refuse", "locked")
    second = action.undo(by=by("mira"), comment="Harmless.")
    run(second)
    second.acknowledge(by=by("noa"), comment="Still cut off.")
    estate.behave_normally()
    run(action.undo(by=by("mira"), comment="Harmless."))


def undone_before_it_began(run: Run, estate: Estate) -> None:
    approved(run, estate).undo(by=by("mira"), comment="Harmless.")


def taken_back_before_its_end(run: Run, estate: Estate) -> None:
    action = isolated(run, hours=4)
    action.extend(by=by("mira"), hours=2, comment="Not clean yet.")
    assert list(differences()) == []
    inverse = action.undo(by=by("mira"), comment="Clean.")
    run(inverse)
    timers.mind(RUNNER)


def drifted(run: Run, estate: Estate) -> None:
    action = isolated(run)
    assert action.device is not None
    set_free(estate, action.device)
    look(action)
    assert list(differences()) == []
    action.acknowledge_drift(by=by("mira"), comment="Somebody was there.")
    isolate_there(estate, action.device)
    look(action)


def put_off_and_handed_over(run: Run, estate: Estate) -> None:
    first, second = factories.waiting_actions(2)
    for action in (first, second):
        action.defer(action.created_at + HOUR, by=by("mira"))
    first.hand_over(factories.person("sam"), by=by("mira"), comment="Yours.")
    Action.objects.filter(pk=second.pk).update(answer_by=F("created_at"))
    assert escalation.escalate(RUNNER) == 1


def stopped_and_asked_again(run: Run, estate: Estate) -> None:
    full = factories.group("Kiosks", AutomationLevel.FULL)
    factories.planned(factories.file_evidence(factories.device(in_group=full)))
    full.change_level(AutomationLevel.SEMI_ALL, by=by("noa"))
    run()
    assert Action.objects.waiting().exists()


def asked_again_in_its_name(run: Run, estate: Estate) -> None:
    action = isolated(run)
    with transaction.atomic():
        asking.ask_again(action, "plan_expired", by=RUNNER)
    assert Action.objects.filter(requested_by_name="Mira Chen").count() == 2


def group_deleted(run: Run, estate: Estate) -> None:
    action = done(run, estate)
    assert action.group is not None
    action.group.remove(by=by("noa"))


TURNS: Final = (
    edited, several_people, many_at_once, retried, resolved, contradicted, undone_anew, undone_before_it_began,
    taken_back_before_its_end, drifted, put_off_and_handed_over, stopped_and_asked_again, asked_again_in_its_name,
    group_deleted,
)  # fmt: skip


# Mail that somebody looks for, as forms: address and fields


def mail_search(run: Run, estate: Estate) -> tuple[str, Mapping[str, str]]:
    bind_to_simulator([])
    return "/email/explorer", {"sender": "mallory@evil.example"}


def mail_by_hand(run: Run, estate: Estate) -> tuple[str, Mapping[str, str]]:
    return f"/email/explorer/{_hit().search_id}/act", {"do": "soft_delete", "comment": "It phishes."}


def mail_opened(run: Run, estate: Estate) -> tuple[str, Mapping[str, str]]:
    hit = _hit()
    return f"/email/explorer/{hit.search_id}/messages/{hit.pk}", {}


def on_a_mailbox(run: Run, estate: Estate) -> tuple[str, Mapping[str, str]]:
    return f"/mailboxes/{factories.mailbox().pk}/forwarding_off", {"comment": "It leaks."}


def on_a_message(run: Run, estate: Estate) -> tuple[str, Mapping[str, str]]:
    return f"/messages/{_hit().message_key}/soft_delete", {"all": "on", "comment": "It phishes."}


def counted_again(run: Run, estate: Estate) -> tuple[str, Mapping[str, str]]:
    action = factories.waiting_mail_action()
    run()
    return f"/action-center/actions/{action.pk}/look-again", {}


def _hit() -> MailHit:
    bind_to_simulator([])
    search = MailSearch.ask({"sender": ["mallory@evil.example"]}, by=by("aiko"))
    hit = {
        "mailbox": "bo@corp.example",
        "stable_id": "m-1",
        "sender": "mallory@evil.example",
        "message_key": "a" * 64,
    }
    return search.hits.create(instance=ConnectorInstance.objects.get(), **hit)


MAIL: Final = {
    "actions:explorer": (mail_search, Kind.SEARCH_ASKED),
    "actions:act_on_mail": (mail_by_hand, Kind.ACTION_PROPOSED),
    "actions:mail_message": (mail_opened, Kind.SEARCH_MESSAGE_OPENED),
    "actions:look_again": (counted_again, Kind.JOB_REQUESTED),
    "investigations:act_on_mailbox": (on_a_mailbox, Kind.ACTION_PROPOSED),
    "investigations:act_on_message": (on_a_message, Kind.ACTION_PROPOSED),
}
