"""What a contest whose every action was decided once, by one, would not show. Each finding is a sentence."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from actioncenter.actions.enums import Choice, Decision, Execution
from actioncenter.actions.models import Action, Vote
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event

Told = dict[str, Any]
DONE = frozenset({200, 302})
CLOCK = re.compile(r"\d\d:\d\d:\d\d")
ENDS = {
    Decision.APPROVED: (Kind.ACTION_APPROVED, Choice.APPROVE, Execution.QUEUED),
    Decision.REJECTED: (Kind.ACTION_REJECTED, Choice.REJECT, Execution.NONE),
    Decision.EXPIRED: (Kind.ACTION_EXPIRED, None, Execution.NONE),
}
NOW = {
    Decision.APPROVED: re.compile(r"approved by .*is queued"),
    Decision.REJECTED: re.compile(r"rejected by .*[Nn]othing will be done"),
    Decision.EXPIRED: re.compile(r"[Ee]xpired undecided at .*nothing will be done"),
}
"""How a loser is told the state that stands."""


def by_action(told: Iterable[Told]) -> dict[int, list[Told]]:
    found = defaultdict(list)
    for one in told:
        found[one["action"]].append(one)
    return found


def errors(told: Iterable[Told]) -> Iterator[str]:
    for one in told:
        if one["status"] not in DONE | {409}:
            yield f"A-{one['action']}: {one['who']} got {one['status']}: {one['text'][:200]}"


def decisions(told: Sequence[Told], numbers: Iterable[int], *, quorum: int = 1) -> list[str]:
    """Approvals, rejections and expiry: `quorum` people have won each action, all others know who did."""
    found, asked = list(errors(told)), by_action(told)
    rows = Action.objects.in_bulk(list(numbers))
    for number, row in rows.items():
        winners = [one for one in asked[number] if one["status"] in DONE]
        found += (f"A-{number}: {text}" for text in _decided(row, winners, quorum))
        found += (
            f"A-{number}: {one['who']} was told: {one['text']}"
            for one in asked[number]
            if one["status"] == 409 and not knows(one["text"], row)
        )
    return found


def knows(text: str, row: Action) -> bool:
    """Who, when and what now; nobody has won what expired."""
    if row.decision not in NOW or not NOW[Decision(row.decision)].search(text):
        return False
    return bool(CLOCK.search(text)) and (row.decision == Decision.EXPIRED or row.decided_by_name in text)


def _decided(row: Action, winners: Sequence[Told], quorum: int) -> Iterator[str]:
    names = sorted(one["who"] for one in winners)
    if row.decision not in ENDS:
        yield f"is {Decision(row.decision).name} after {len(winners)} were told it is done"
        return
    kind, choice, execution = ENDS[Decision(row.decision)]
    if len(winners) != (quorum if choice else 0):
        yield f"was won by {names}, it is {Decision(row.decision).name}"
    votes = Vote.objects.filter(action=row, choice=choice) if choice else Vote.objects.none()
    if sorted(votes.values_list("user_name", flat=True)) != names or Vote.objects.filter(
        action=row
    ).count() != len(names):
        yield f"has the votes of {list(Vote.objects.filter(action=row).values_list('user_name', flat=True))}, won by {names}"
    # SQLite's clock counts milliseconds: the one in which it expires may still be before that.
    if choice and (row.decided_at is None or row.expires_at is None or row.decided_at > row.expires_at):
        yield f"was decided at {row.decided_at}, after it had expired at {row.expires_at}"
    if row.execution != execution or (choice and row.decided_by_name not in names):
        yield f"is {Execution(row.execution).name}, decided by {row.decided_by_name!r}, won by {names}"
    events = Event.objects.filter(stream=f"action:{row.pk}", kind__in=[kind for kind, _, _ in ENDS.values()])
    if list(events.values_list("kind", flat=True)) != [kind]:
        yield f"has the events {list(events.values_list('kind', flat=True))}"


def undone(told: Sequence[Told], numbers: Iterable[int]) -> list[str]:
    """One undo for each, after it had succeeded; who lost knows whose it is or that it runs still."""
    found, asked = list(errors(told)), by_action(told)
    for number, row in Action.objects.select_related("undone_by").in_bulk(list(numbers)).items():
        winners = [one["who"] for one in asked[number] if one["status"] in DONE]
        inverses = list(Action.objects.filter(undo_of=number).order_by("pk"))
        events = Event.objects.filter(stream=f"action:{number}", kind=Kind.ACTION_UNDONE).count()
        if len(winners) != 1 or [row.undone_by] != inverses or events != 1:
            found.append(f"A-{number} was undone by {winners}: {inverses}, {events} events")
            continue
        if row.finished_at is None or inverses[0].created_at < row.finished_at:
            found.append(f"A-{number} was undone before it had finished")
        running = re.compile(rf"A-{number} was already approved by .*and is (queued|running)")
        known = re.compile(
            rf"undone by {re.escape(winners[0])} at {CLOCK.pattern}.*{inverses[0].label}, .*is (queued|running)"
        )
        found += (
            f"A-{number}: {one['who']} was told: {one['text']}"
            for one in asked[number]
            if one["status"] == 409 and not (known.search(one["text"]) or running.search(one["text"]))
        )
    return found


def edits(told: Sequence[Told], numbers: Iterable[int]) -> list[str]:
    """On one revision only one person gets through: whoever edits voids what others saw."""
    found, asked = list(errors(told)), by_action(told)
    for number, row in Action.objects.in_bulk(list(numbers)).items():
        winners = [one for one in asked[number] if one["status"] in DONE]
        names = [(one["who"], one["way"]) for one in winners]
        if len(winners) != 1:
            found.append(f"A-{number}: revision 1 was used by {names}")
            continue
        edited = winners[0]["way"] == "edit"
        state = (row.revision, row.decision)
        if state != ((2, Decision.PENDING) if edited else (1, Decision.APPROVED)):
            found.append(
                f"A-{number}: {names} won, but it is at revision {row.revision}, {Decision(row.decision).name}"
            )
        how, state = ("Changed", "still waits.*scan was quick") if edited else ("approved", "It is queued")
        known = re.compile(f"{how} by {re.escape(winners[0]['who'])} at {CLOCK.pattern}.*{state}")
        found += (
            f"A-{number}: {one['who']} was told: {one['text']}"
            for one in asked[number]
            if one["status"] == 409 and not known.search(one["text"])
        )
    return found


def answers(told: Sequence[Told], numbers: Iterable[int]) -> list[str]:
    """One form per action, sent by everybody: one effect and one answer."""
    found, asked = [], by_action(told)
    for number in numbers:
        different = {(one["status"], one["body"], *one["headers"].values()) for one in asked[number]}
        statuses = sorted(one["status"] for one in asked[number])
        votes = Vote.objects.filter(action=number).count()
        events = Event.objects.filter(stream=f"action:{number}", kind=Kind.ACTION_APPROVED).count()
        if len(different) != 1 or statuses[-1] != 200 or (votes, events) != (1, 1):
            found.append(
                f"A-{number}: {len(different)} answers {statuses}, {votes} votes, {events} approvals"
            )
    return found
