"""An action's story: from the evidence to its undo, complete and in order, for every type and every end."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.actions.enums import ALLOWED, ActionType, Decision, Execution
from actioncenter.actions.models import Action
from actioncenter.auditor import stories
from tests import factories
from tests.actions.varied import proposed, put
from tests.audit.drafts import seal

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>\u202egpj.exe"


@pytest.fixture
def ivo(client: Client) -> Client:
    client.force_login(factories.person("ivo"))
    return client


def address(action: Action) -> str:
    return f"/audit/actions/{action.pk}"


def chapters(client: Client, action: Action) -> dict[str, list[str]]:
    """Title -> what its lines say."""
    shown = client.get(address(action)).context["chapters"]
    return {
        chapter["title"]: [
            f"{line['text']} | {line['detail']} | {line.get('note', '')}" for line in chapter["lines"]
        ]
        for chapter in shown
    }


@pytest.mark.oversight("HO-005")
def test_a_story_is_told_from_evidence_to_undo(ivo: Client) -> None:
    mira = factories.actor(factories.person("mira"))
    action = factories.waiting_action().approve(by=mira, comment="Seen it before")
    told = chapters(ivo, action)

    assert list(told) == [
        "Evidence", "Verdict", "Policy", "Plan", "Votes and decision", "Attempts", "Read back", "Undo", "In the log",
    ]  # fmt: skip
    assert "svchost_update.exe" in told["Evidence"][0]
    assert told["Policy"][0].startswith("Waited")
    assert "Group | Finance laptops | " in told["Policy"]
    assert any(
        "Mira Chen voted to approve" in line and "Seen it before" in line
        for line in told["Votes and decision"]
    )
    assert any(line.startswith("Approved by Mira Chen") for line in told["Votes and decision"])
    assert [line.partition(" |")[0] for line in told["In the log"]] == ["Proposed", "Approved"]


def test_every_state_is_told(ivo: Client) -> None:
    for decision in Decision:
        for execution in Execution if decision in ALLOWED else [Execution.NONE]:
            if decision in ALLOWED and execution == Execution.NONE:
                continue
            action = put(proposed(), decision, execution)
            assert chapters(ivo, action)["Read back"], (decision, execution)


def test_every_type_is_told(ivo: Client) -> None:
    for kind in ActionType:
        action = put(proposed(kind), Decision.APPROVED, Execution.SUCCEEDED)
        assert chapters(ivo, action)["Policy"]


def test_hostile_text_runs_nowhere(ivo: Client) -> None:
    mira = factories.actor(factories.person("mira"))
    action = factories.waiting_action(path=f"C:\\{HOSTILE}").approve(by=mira, comment=HOSTILE)
    page = ivo.get(address(action)).content.decode()

    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "\u202e" not in page


def test_a_verdict_that_changed_since_is_told_as_it_was(ivo: Client) -> None:
    action = factories.waiting_action()
    evidence = action.links.get().evidence
    evidence.verdict = 2
    evidence.save()

    (line,) = chapters(ivo, action)["Verdict"]
    assert "Since changed" in line


def test_undo_and_undone_lead_to_each_other(ivo: Client) -> None:
    action = put(proposed(), Decision.APPROVED, Execution.SUCCEEDED)
    undo = put(proposed(name="b"), Decision.APPROVED, Execution.SUCCEEDED)
    Action.objects.filter(pk=undo.pk).update(undo_of=action)

    assert chapters(ivo, action)["Undo"][0].startswith(f"Taken back by A-{undo.pk}")
    assert chapters(ivo, Action.objects.get(pk=undo.pk))["Undo"][0].startswith(f"Takes back A-{action.pk}")


def test_what_is_long_is_cut_and_says_so(ivo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stories, "TOLD", 1)
    mira = factories.actor(factories.person("mira"))
    action = factories.waiting_action().approve(by=mira)

    more = {chapter["title"]: chapter["more"] for chapter in ivo.get(address(action)).context["chapters"]}
    assert more["In the log"] == 1


def test_equal_queries_for_few_and_many(ivo: Client) -> None:
    counts = []
    for number in (1, 3, 100):
        action = factories.waiting_mail_action(messages=number)
        ivo.get(address(action))
        target = action.targets.get()
        for at in range(number - 1):
            target.pk, target.lane = None, f"msg:{action.pk}:{at}"
            target.save(force_insert=True)
        with CaptureQueriesContext(connection) as caught:
            ivo.get(address(action))
        counts.append(len(caught))

    assert len(set(counts)) == 1, counts


def test_it_says_what_is_sealed(ivo: Client) -> None:
    action = factories.waiting_action()
    assert ivo.get(address(action)).context["unsealed"] == 1
    seal()
    assert ivo.get(address(action)).context["unsealed"] == 0


@pytest.mark.parametrize("name", ["mira", "aiko", "kim", "nobody"])
def test_others_are_refused(client: Client, name: str) -> None:
    client.force_login(factories.person(name))
    action = factories.waiting_action()

    assert client.get(address(action)).status_code == 403
    if name != "nobody":
        assert "Full story" not in client.get(f"/action-center/actions/{action.pk}").content.decode()


def test_the_action_leads_there_and_says_whether_it_is_sealed(ivo: Client) -> None:
    action = factories.waiting_action()
    before = ivo.get(f"/action-center/actions/{action.pk}").content.decode()
    seal()
    after = ivo.get(f"/action-center/actions/{action.pk}").content.decode()

    assert f'href="{address(action)}"' in before
    assert ["Waits for a seal" in page for page in (before, after)] == [True, False]


@pytest.mark.django_db(transaction=True)
def test_history_marks_what_waits_for_a_seal(ivo: Client) -> None:
    mira = factories.actor(factories.person("mira"))
    sealed = factories.waiting_action().reject(by=mira, comment="no")
    seal()
    fresh = factories.waiting_action().reject(by=mira, comment="no")

    groups = ivo.get("/action-center/history").context["groups"]
    assert {row["number"]: row["seal"] for group in groups for row in group["rows"]} == {
        sealed.pk: "sealed",
        fresh.pk: "waits",
    }


def test_a_poll_of_history_sees_a_new_seal(ivo: Client) -> None:
    factories.waiting_action().reject(by=factories.actor(factories.person("mira")), comment="no")
    put(proposed(), Decision.REJECTED, Execution.NONE, ago=timedelta(days=1))
    ask = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "#rows"}
    tag = ivo.get("/action-center/history", **ask)["HX-PTag"]  # type: ignore[arg-type]

    assert ivo.get("/action-center/history", **ask, HTTP_HX_PTAG=tag).status_code == 304  # type: ignore[arg-type]
    seal()
    assert ivo.get("/action-center/history", **ask, HTTP_HX_PTAG=tag).status_code == 200  # type: ignore[arg-type]
