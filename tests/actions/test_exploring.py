"""Searching mail, and taking action on what was found, in the simulated estate."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models.functions import Now

from actioncenter.actions import exploring, housekeeping
from actioncenter.actions.enums import (
    ActionType,
    Area,
    Decision,
    Execution,
    JobState,
    Source,
    TargetKind,
)
from actioncenter.actions.exploring import Choice, figures_of
from actioncenter.actions.models import (
    Action,
    ActionTarget,
    Invalid,
    MailHit,
    MailSearch,
    Plan,
    searching,
)
from actioncenter.actions.permissions import NotVisible, Refused
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.settings.models import ConnectorInstance
from investigations.enums import InvestigationState
from investigations.models import Alert
from investigations.queries import bind_to_simulator
from tests import factories
from tests.actions.conftest import RUNNER

pytestmark = pytest.mark.django_db
Run = Callable[..., None]
SOFT = ActionType.SOFT_DELETE_EMAIL
MALLORY = "mallory@evil.example"


def mailbox(number: int) -> dict[str, Any]:
    """Two copies of a campaign, and one message that has nothing to do with it."""
    told = {"sender": MALLORY, "subject": "Your bill", "received": 1_790_000_000 + number}
    return {
        "address": f"person{number}@corp.example",
        "internal": True,
        "messages": [
            {**told, "stable_id": f"bill-{number}", "message_id": "<bill@evil.example>"},
            {**told, "stable_id": f"again-{number}", "message_id": "<again@evil.example>", "subject": "Last call"},
            {"stable_id": f"lunch-{number}", "message_id": f"<{number}@corp.example>", "sender": "bo@corp.example",
             "subject": "Lunch"},
        ],
    }  # fmt: skip


@pytest.fixture
def mail(estate: Estate) -> Estate:
    bind_to_simulator([])
    estate.seed({"mailboxes": [mailbox(number) for number in range(4)]})
    return estate


def searched(run: Run, who: str = "aiko", **criteria: Any) -> MailSearch:
    made = MailSearch.ask(criteria or {"sender": MALLORY}, by=by(who))
    run()
    return made


def by(who: str) -> Any:
    return factories.actor(factories.person(who))


def take(choice: Choice, kind: ActionType = SOFT, who: str = "aiko", **more: Any) -> Action:
    (made,) = exploring.take(choice, kind, by=by(who), comment="It phishes.", **more)
    return made


def folders(estate: Estate) -> dict[str, str]:
    with estate.reading() as scene:
        return {ref.name: state["folder"] for ref, state in scene.of("message")}


# Searching


def test_a_search_waits_for_the_runner_and_is_told_of(mail: Estate, run: Run) -> None:
    asked = MailSearch.ask({"sender": MALLORY}, by=by("kim"))
    assert not asked.hits.exists()
    assert MailSearch.unanswered().get() == asked
    (event,) = Event.objects.filter(kind=Kind.SEARCH_ASKED)
    assert event.detail == {"criteria": {"sender": MALLORY}, "connectors": ["Simulator"]}
    run()
    assert not MailSearch.unanswered().exists()
    assert {hit.stable_id for hit in asked.hits.all()} == {
        f"{name}-{number}" for name in ("bill", "again") for number in range(4)
    }


def test_a_long_answer_comes_page_by_page_and_ends_at_the_bound(
    mail: Estate, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actioncenter.connectors.simulator.clusters.PAGE", 3)
    whole = searched(run)
    assert (whole.hits.count(), whole.jobs.count()) == (8, 3)
    monkeypatch.setattr("actioncenter.actions.execution.searching.MOST_HITS", 5)
    part = searched(run)
    assert part.hits.count() == 5
    assert [job.result["cut"] for job in part.jobs.order_by("pk")] == [False, True]


def test_where_it_could_not_look_is_known(mail: Estate, run: Run) -> None:
    mail.behave("offline", owner="person1@corp.example")
    part = searched(run)
    assert part.hits.count() == 6
    assert [job.result["complete"] for job in part.jobs.all()] == [False]
    mail.behave_normally()
    assert searched(run, colour="red").jobs.get().state == JobState.FAILED


@pytest.mark.parametrize(("who", "error"), [("ivo", Refused), ("nobody", NotVisible)])
def test_who_may_not_search_asks_nobody(mail: Estate, who: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        MailSearch.ask({"sender": MALLORY}, by=by(who))
    assert not MailSearch.objects.exists()


def test_a_person_has_a_few_searches_open_at_most(mail: Estate) -> None:
    for _ in range(searching.MOST_OPEN):
        MailSearch.ask({"sender": MALLORY}, by=by("aiko"))
    with pytest.raises(Invalid, match="still being answered"):
        MailSearch.ask({"sender": MALLORY}, by=by("aiko"))
    MailSearch.ask({"sender": MALLORY}, by=by("sam"))


def test_without_a_connector_to_mail_it_says_so(estate: Estate) -> None:
    with pytest.raises(Invalid, match="No connector"):
        MailSearch.ask({"sender": MALLORY}, by=by("aiko"))


def test_what_was_found_is_forgotten_after_a_week(mail: Estate, run: Run) -> None:
    old, new = searched(run), searched(run)
    MailSearch.objects.filter(pk=old.pk).update(asked_at=Now() - searching.KEPT * 1.01)
    for _ in range(3):
        MailSearch.forget()
    assert MailSearch.objects.get() == new
    assert MailHit.objects.count() == new.hits.count()
    assert any(chore.name == "searches" for chore in housekeeping.CHORES)


# Taking action


def test_who_has_the_right_acts_at_once_on_what_was_picked(mail: Estate, run: Run) -> None:
    search = searched(run)
    picked = tuple(search.hits.filter(stable_id__startswith="bill").values_list("pk", flat=True))
    action = take(Choice(search, picked))
    assert (action.decision, action.source) == (Decision.NOT_REQUIRED, Source.EXPLORER)
    run(action)
    assert action.execution == Execution.SUCCEEDED
    after = folders(mail)
    assert {name for name, folder in after.items() if folder != "Inbox"} == {f"bill-{n}" for n in range(4)}
    undo = action.undo(by=by("aiko"), comment="It was harmless.")
    run(undo)
    assert set(folders(mail).values()) == {"Inbox"}


def test_what_is_done_directly_is_told_of_beside_it(mail: Estate, run: Run) -> None:
    """An alert and an investigation of its own, so that others find what nobody else was asked about."""
    search = searched(run)
    picked = tuple(search.hits.order_by("pk").values_list("pk", flat=True)[:2])

    action = take(Choice(search, picked))
    run(action)

    alert = Alert.objects.get()
    assert (alert.title, alert.source) == ("Administrative action submitted by an Administrator", "explorer")
    assert action.investigation is not None
    assert (action.investigation_id, action.investigation.area) == (alert.investigation_id, Area.EMAIL)
    assert action.evidence.count() == 2
    housekeeping.plan_left_over(RUNNER)
    housekeeping.advance_investigations(RUNNER)
    action.investigation.refresh_from_db()
    assert action.investigation.state == InvestigationState.REMEDIATED
    assert Action.objects.count() == 1, "what it tells of asks for nothing more"


def test_what_waits_for_others_tells_them_itself(mail: Estate, run: Run) -> None:
    search = searched(run, "kim")
    take(Choice(search, tuple(search.hits.values_list("pk", flat=True)[:1])), who="kim")
    take(Choice(search, grouping="message"), who="aiko")
    assert not Alert.objects.exists()


def test_without_the_right_it_is_proposed_to_others_and_binds_them_to_what_was_picked(
    mail: Estate, run: Run
) -> None:
    search = searched(run)
    hit = search.hits.get(stable_id="bill-2")
    action = take(Choice(search, (hit.pk,)), who="kim")
    assert (action.decision, action.reason_code) == (Decision.PENDING, "proposed_by")
    run(action)
    ActionTarget.objects.filter(action=action).update(facts={"stable_id": "lunch-2"})
    action.approve(by=by("aiko"))
    run(action)
    assert action.execution == Execution.CANCELLED
    assert set(folders(mail).values()) == {"Inbox"}


def test_who_has_the_right_may_propose_it_all_the_same(mail: Estate, run: Run) -> None:
    search = searched(run)
    action = take(Choice(search, (search.hits.all()[0].pk,)), propose=True)
    assert action.decision == Decision.PENDING
    run(action)
    with pytest.raises(Refused, match="may not decide it"):
        action.approve(by=by("aiko"))
    action.approve(by=by("sam"))
    run(action)
    assert action.execution == Execution.SUCCEEDED


def test_a_whole_query_is_looked_up_before_anybody_can_approve_it(mail: Estate, run: Run) -> None:
    """Of what has come in since, the plan tells, and nobody is held to what the search had found."""
    search = searched(run)
    mail.seed({"mailboxes": [mailbox(9)]})
    spared = search.hits.get(stable_id="again-0")
    action = take(Choice(search, spared=(spared.pk,)))
    assert (action.decision, action.reason_code) == (Decision.PENDING, "plan_first")
    assert TargetKind(action.target_kind) is TargetKind.CLUSTER
    run(action)
    plan = Plan.objects.get(action=action)
    assert len(plan.body["targets"]) == 9
    action.approve(by=by("aiko"), plan=plan.digest)
    run(action)
    assert action.execution == Execution.SUCCEEDED
    hit = {name for name, folder in folders(mail).items() if folder != "Inbox"}
    assert hit == {f"{name}-{n}" for name in ("bill", "again") for n in (0, 1, 2, 3, 9)} - {"again-0"}


def test_one_cluster_of_a_query_without_another(mail: Estate, run: Run) -> None:
    search = searched(run)
    bill, again = (search.hits.get(stable_id=name) for name in ("bill-0", "again-0"))
    only, without = Choice(search, within=bill.pk), Choice(search, left_out=(again.pk,))
    assert figures_of(only).messages == figures_of(without).messages == 4
    for choice in (only, without):
        action = take(choice, ActionType.MOVE_TO_JUNK)
        run(action)
        planned = Plan.objects.get(action=action).body["targets"]
        assert {each["facts"]["stable_id"] for each in planned} == {f"bill-{n}" for n in range(4)}


def test_a_proposed_query_needs_somebody_else(mail: Estate, run: Run) -> None:
    action = take(Choice(searched(run)), who="kim")
    assert action.reason_code == "proposed_by"
    run(action)
    action.approve(by=by("aiko"), plan=Plan.objects.get(action=action).digest)
    run(action)
    assert (action.execution, action.target_count) == (Execution.SUCCEEDED, 8)


def test_the_same_form_is_one_action(mail: Estate, run: Run) -> None:
    choice = Choice(searched(run))
    assert take(choice, key="k1") == take(choice, key="k1") != take(choice, key="k2")


# Limits


@pytest.mark.parametrize(
    ("limit", "number", "said"),
    [
        ("MOST_PICKED", 7, "can be picked by hand"),
        ("MOST_IN_ALL", 7, "8 messages; one query may touch 7"),
        ("MOST_OF_ONE", 1, "2 of its messages lie in one mailbox"),
        ("MOST_RUNNING", 0, "no more may be"),
    ],
)
def test_a_limit_refuses_and_says_which(
    mail: Estate, run: Run, monkeypatch: pytest.MonkeyPatch, limit: str, number: int, said: str
) -> None:
    search = searched(run)
    picked = tuple(search.hits.values_list("pk", flat=True)) if limit == "MOST_PICKED" else ()
    monkeypatch.setattr(exploring, limit, number)
    monkeypatch.setattr(exploring, "SPREAD", 0.6)
    with pytest.raises(Refused, match=said):
        take(Choice(search, picked))
    assert not Action.objects.exists()


def test_what_is_left_out_is_bounded_and_something_has_to_be_left(
    mail: Estate, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = searched(run)
    every = tuple(search.hits.values_list("pk", flat=True))
    with pytest.raises(Refused, match="Nothing is left"):
        take(Choice(search, spared=every))
    monkeypatch.setattr(exploring, "MOST_LEFT_OUT", 3)
    with pytest.raises(Refused, match="can be left out"):
        take(Choice(search, spared=every[:4]))


def test_a_hit_of_another_search_is_none_of_this_one(mail: Estate, run: Run) -> None:
    one, other = searched(run), searched(run, sender="bo@corp.example")
    with pytest.raises(Refused, match="Nothing is left"):
        take(Choice(one, (other.hits.all()[0].pk,)))


def test_what_no_connector_reaches_any_more_is_not_asked_for(mail: Estate, run: Run) -> None:
    choice = Choice(searched(run))
    ConnectorInstance.objects.update(enabled=False)
    with pytest.raises(Refused, match="no longer reaches"):
        take(choice)
