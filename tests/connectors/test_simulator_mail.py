"""Clusters of mail: what a plan resolves to, freezes and says."""

import uuid
from collections.abc import Callable, Mapping

import pytest

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Continue, Outcome, Permanent, Request, Target
from tests.connectors.harness import Notes, finish, undo_of
from tests.connectors.simulator_harness import SimulatorHarness

Cluster = Callable[..., Target]


def soft_delete(*targets: Target) -> Request:
    return Request(str(uuid.uuid4()), ActionType.SOFT_DELETE_EMAIL, targets)


@pytest.mark.parametrize(
    "facts",
    [
        {"sender": "mallory@EVIL.example"},
        {"sender_domain": "evil.example"},
        {"subject": "Your bill"},
        {"url": "https://evil.example/pay"},
        {"attachment_sha256": "A" * 64},
        {"criteria": {"sender": ["mallory@evil.example", "other@evil.example"], "folder": "Inbox"}},
        {"criteria": {"subject_part": "BILL", "since": 1.0, "until": 2.0e9}},
        {"messages": ["<0@evil.example>", "<1@evil.example>", "<2@evil.example>"]},
        {
            "messages": [
                {"message_id": f"<{number}@evil.example>", "mailbox": f"person{box}@corp.example"}
                for box in range(4)
                for number in range(3)
            ]
        },
    ],
    ids=lambda facts: next(iter(facts)),
)
def test_a_cluster_resolves_to_its_messages(
    simulated: SimulatorHarness, phish: Cluster, facts: Mapping[str, object]
) -> None:
    plan = simulated.connector.preview(soft_delete(phish(**facts)))
    assert plan.targets is not None
    assert {target.key for target in plan.targets} == {
        f"m-{box}-{number}" for box in range(4) for number in range(3)
    }
    assert all(target.kind is TargetKind.MESSAGE for target in plan.targets)
    assert all(target.facts["stable_id"] == target.key for target in plan.targets)
    assert plan.observed == {"messages": 12, "mailboxes": 4, "folders": {"Inbox": 12}}


@pytest.mark.parametrize(
    ("left_out", "left"),
    [
        ([], 12),
        ([{}], 12),
        ([{"mailbox": "person0@corp.example", "stable_id": "m-0-1"}], 11),
        ([{"message_id": "<0@evil.example>"}, {"mailbox": "person3@corp.example"}], 6),
        ([{"sender": "mallory@evil.example", "subject": "Your\N{SYMBOL FOR NULL} bill"}], 0),
        ([{"sender": "mallory@evil.example", "subject": "Another bill"}], 12),
    ],
)
def test_what_people_left_out_is_not_hit(
    simulated: SimulatorHarness, phish: Cluster, left_out: list[dict[str, str]], left: int
) -> None:
    facts = {"criteria": {"sender": "mallory@evil.example"}, "left_out": left_out}
    plan = simulated.connector.preview(soft_delete(phish(**facts)))
    assert plan.targets is not None
    assert len(plan.targets) == left


def test_what_was_searched_for_and_is_not_there_is_not_made_up(
    simulated: SimulatorHarness, phish: Cluster
) -> None:
    plan = simulated.connector.preview(
        soft_delete(phish(criteria={"sender": "nobody@evil.example"}, count=5))
    )
    assert plan.targets == []


def test_a_plan_says_who_is_hit(simulated: SimulatorHarness, phish: Cluster) -> None:
    plan = simulated.connector.preview(soft_delete(phish(subject="Your bill")))
    assert plan.changes == ["12 messages in 4 mailboxes move to where only administrators can restore them."]
    assert [hit["mailbox"] for hit in plan.affected] == [f"person{box}@corp.example" for box in range(4)]
    assert [hit["internal"] for hit in plan.affected] == [True, True, True, False]
    assert all(hit["messages"] == 3 and hit["folders"] == {"Inbox": 3} for hit in plan.affected)
    assert plan.warnings == []


def test_a_plan_warns_of_what_is_moved_gone_or_out_of_reach(
    simulated: SimulatorHarness, phish: Cluster
) -> None:
    simulated.estate.change("message", "m-0-0", folder="Recoverable Items/Deletions")
    simulated.estate.vanish("message", "m-0-1")
    simulated.estate.change("message", "m-0-2", folder="On-prem/External")
    plan = simulated.connector.preview(soft_delete(phish(subject="Your bill")))
    assert plan.changes[0].startswith("9 messages in 3 mailboxes")
    assert plan.warnings == [
        "1 message: already moved to where they should be.",
        "1 message: no longer there.",
        "1 message: out of reach.",
    ]


def test_the_digest_is_that_of_the_messages_however_they_are_named(
    simulated: SimulatorHarness, phish: Cluster
) -> None:
    by_subject = simulated.connector.preview(soft_delete(phish(subject="Your bill")))
    by_sender = simulated.connector.preview(soft_delete(phish(sender="mallory@evil.example")))
    assert by_subject.targets is not None
    frozen = simulated.connector.preview(soft_delete(*by_subject.targets))
    assert by_subject.digest == by_sender.digest == frozen.digest
    assert frozen.targets is None


def test_a_message_more_changes_the_digest_and_a_move_by_its_reader_does_not(
    simulated: SimulatorHarness, phish: Cluster
) -> None:
    request = soft_delete(phish(subject="Your bill"))
    planned = simulated.connector.preview(request).digest
    simulated.estate.change("message", "m-0-0", folder="Projects")
    assert simulated.connector.preview(request).digest == planned
    simulated.estate.change(
        "message",
        "m-new",
        mailbox="person0@corp.example",
        subject="Your bill",
        folder="Inbox",
        message_id="<9>",
    )
    assert simulated.connector.preview(request).digest != planned


def test_only_the_frozen_messages_are_touched(simulated: SimulatorHarness, phish: Cluster) -> None:
    plan = simulated.connector.preview(soft_delete(phish(subject="Your bill")))
    assert plan.targets is not None
    simulated.estate.change(
        "message",
        "m-new",
        mailbox="person0@corp.example",
        subject="Your bill",
        folder="Inbox",
        message_id="<9>",
    )
    finish(simulated, soft_delete(*plan.targets))
    late, planned = (simulated.estate.state("message", name) or {} for name in ("m-new", "m-0-0"))
    assert late["folder"] == "Inbox"
    assert planned["folder"] == "Recoverable Items/Deletions"


def test_a_cluster_itself_is_never_carried_out(simulated: SimulatorHarness, phish: Cluster) -> None:
    with pytest.raises(Permanent) as caught:
        simulated.connector.step(soft_delete(phish(subject="Your bill")), None, Notes())
    assert caught.value.code == "cluster_not_expanded"


def test_a_cluster_nobody_knows_is_assumed_and_stays_the_same(simulated: SimulatorHarness) -> None:
    unknown = Target("c9", TargetKind.CLUSTER, "tenant", {"count": 7, "sender": "x@y.example"})
    request = soft_delete(unknown)
    first = simulated.connector.preview(request)
    assert first.targets is not None
    assert len(first.targets) == 7
    assert any("assumes" in warning for warning in first.warnings)
    run = finish(simulated, soft_delete(*first.targets))
    assert {result.outcome for result in run.results.values()} == {Outcome.SUCCEEDED}
    assert simulated.connector.preview(request).digest == first.digest


def test_progress_of_a_cluster_counts_messages(simulated: SimulatorHarness, phish: Cluster) -> None:
    plan = simulated.connector.preview(soft_delete(phish(subject="Your bill")))
    assert plan.targets is not None
    run = finish(simulated, soft_delete(*plan.targets))
    assert [(step.done, step.total, step.message) for step in run.answers] == [
        (done, 12, f"{done} of 12") for done in (2, 4, 6, 8, 10)
    ]


def test_undo_brings_each_message_to_its_own_folder_with_its_flags(
    simulated: SimulatorHarness, phish: Cluster
) -> None:
    simulated.estate.change("message", "m-0-0", folder="Projects", flags=["seen"])
    plan = simulated.connector.preview(soft_delete(phish(subject="Your bill")))
    assert plan.targets is not None
    request = soft_delete(*plan.targets)
    finish(simulated, undo_of(request, finish(simulated, request)))
    moved = simulated.estate.state("message", "m-0-0") or {}
    assert (moved["folder"], moved["flags"]) == ("Projects", ["seen"])
    assert (simulated.estate.state("message", "m-1-0") or {})["folder"] == "Inbox"


def test_what_its_owner_purged_is_gone_and_cannot_be_restored(
    simulated: SimulatorHarness, phish: Cluster
) -> None:
    plan = simulated.connector.preview(soft_delete(phish(subject="Your bill")))
    assert plan.targets is not None
    request = soft_delete(plan.targets[0])
    simulated.estate.vanish("message", plan.targets[0].key)
    run = finish(simulated, request)
    assert [result.outcome for result in run.results.values()] == [Outcome.GONE]
    undone = finish(simulated, undo_of(request, run)).results.values()
    assert [result.outcome for result in undone] == [Outcome.FAILED]


def test_forwarding_inside_the_company_stays(simulated: SimulatorHarness) -> None:
    request = simulated.request(ActionType.TURN_OFF_FORWARDING)
    finish(simulated, request)
    kept = (simulated.estate.state("mailbox", request.targets[0].remote) or {})["forwarding"]
    assert kept == [{"to": "a@corp.example", "external": False}]


def test_only_the_named_delegate_goes(simulated: SimulatorHarness) -> None:
    request = simulated.request(ActionType.REMOVE_DELEGATION)
    finish(simulated, request)
    kept = (simulated.estate.state("mailbox", request.targets[0].remote) or {})["delegates"]
    assert kept == {"eve@corp.example": False, "bob@corp.example": True}


def test_search_pages_and_says_when_it_could_not_look_everywhere(
    simulated: SimulatorHarness, phish: Cluster
) -> None:
    whole = simulated.connector.search({"kind": "message", "subject": "Your bill"}, None)
    assert (len(whole.references), whole.complete, whole.cursor) == (12, True, None)
    simulated.estate.behave("offline", owner="person0@corp.example")
    part = simulated.connector.search({"kind": "message", "subject": "Your bill"}, None)
    assert (len(part.references), part.complete) == (9, False)
    with pytest.raises(Permanent):
        simulated.connector.search({"kind": "message", "1=1; --": "x"}, None)


def test_a_long_search_goes_on_from_its_cursor(simulated: SimulatorHarness) -> None:
    files = [{"path": f"/tmp/{number:04}", "sha256": "b" * 64} for number in range(450)]
    simulated.estate.seed({"devices": [{"remote": "srv", "os": "linux", "files": files}]})
    found: list[str] = []
    cursor = None
    for _ in range(3):
        page = simulated.connector.search({"kind": "file", "sha256": "B" * 64}, cursor)
        found += [reference["path"] for reference in page.references]
        cursor = page.cursor
    assert cursor is None
    assert found == [file["path"] for file in files]


def test_a_cancelled_cluster_reads_back_in_part(simulated: SimulatorHarness, phish: Cluster) -> None:
    plan = simulated.connector.preview(soft_delete(phish(subject="Your bill")))
    assert plan.targets is not None
    request = soft_delete(*plan.targets)
    answer = simulated.connector.step(request, None, Notes())
    assert isinstance(answer, Continue)
    simulated.connector.cancel(request, answer.cursor)
    finish(simulated, request, answer.cursor)
    in_force = simulated.connector.verify(request).in_force
    assert sum(bool(value) for value in in_force.values()) == 2
