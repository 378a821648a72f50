"""Rows of the actions table as dictionaries of plain values, oldest first, ids from 1.

What belongs together is drawn together: the level of the device's group says who decided, the
type says what the target is called, an undo stands beside what it undid.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from actioncenter.actions.catalogue import CATALOGUE, Entry
from actioncenter.actions.enums import ActionType, Area, Decision, Execution, Source, TargetKind
from actioncenter.bench.population.moments import DAY, HOUR, MINUTE, SECOND, SPAN, millis, text
from actioncenter.bench.population.vocabulary import (
    ALONE,
    AUTOMATIC,
    BY_PEOPLE,
    RUNS_BECAUSE,
    TYPES,
    WAITS_BECAUSE,
    Ending,
    target_names,
)
from actioncenter.bench.population.world import World
from actioncenter.settings.enums import AutomationLevel
from investigations.enums import Verdict

Row = dict[str, Any]
V = TypeVar("V")

EXPIRY: Final = 7 * DAY
CHUNK: Final = 5_000
PENDING: Final = 1_950
NOT_SWEPT: Final = 0.002
"""Share of what waits that is past expiry and not yet written as expired."""
TENANT: Final = frozenset({TargetKind.URL, TargetKind.SENDER, TargetKind.CLUSTER})
RULE: Final = json.dumps(
    {
        "quorum": 1, "deny_quorum": 1, "four_eyes": False, "comment_on_approve": False,
        "comment_on_reject": False, "expiry_days": 7,
    }
)  # fmt: skip
BLANK: Final[Row] = {
    "critical": 0, "decided_by_id": None, "decided_by_name": "", "decided_at": None, "expires_at": None,
    "approval_id": None, "approval_rule": RULE, "code": "", "queued_at": None, "started_at": None,
    "finished_at": None, "history_at": None, "read_back_at": None, "simulated": 1, "requested_by_id": None,
    "requested_by_name": "Automation", "proposers": '["automation"]', "investigation_id": None, "group_id": None,
    "group_name": "", "level": None, "device_id": None, "mailbox_id": None, "on_name": "", "target_count": 1,
    "succeeded_count": 0, "failed_count": 0, "unknown_count": 0, "approved_fingerprint": "", "undo_of_id": None,
    "undone_by_id": None,
}  # fmt: skip


class Story:
    """Tells `rows` actions that ended, wait or run at `now`."""

    def __init__(self, world: World, rows: int, rng: random.Random, now: datetime) -> None:
        self.world, self.count, self.rng = world, rows, rng
        self.now = millis(now)
        self.types = _spread(TYPES, 10_000)
        self.names = {kind: target_names(kind) for kind in TargetKind}
        self.endings = {level: _endings(share) for level, share in ALONE.items()}
        group_names = world.group_names
        levels = {group.pk: group.level for group in world.groups}
        self.devices: list[Row] = [
            {
                "device_id": device.pk, "on_name": device.name, "critical": int(device.critical),
                "group_id": device.group_id, "group_name": group_names[device.group_id],
                "level": levels[device.group_id],
            }
            for device in world.devices
            if device.group_id is not None
        ]  # fmt: skip
        self.mailboxes: list[Row] = [
            {"mailbox_id": box.pk, "on_name": box.address} for box in world.mailboxes
        ]
        self.live = self._place_live()
        self.undoable: dict[ActionType, list[Row]] = {}

    def rows(self) -> Iterator[Sequence[Row]]:
        """In chunks; a row may still change while its chunk is being made."""
        for start in range(1, self.count + 1, CHUNK):
            self.undoable = {kind: [] for kind in ActionType}
            yield [self._row(number) for number in range(start, min(start + CHUNK, self.count + 1))]

    def _place_live(self) -> Mapping[int, Execution | Decision]:
        """Which rows have not ended: a week's worth of waiting ones, and the last few that run."""
        waiting = min(PENDING, max(5, self.count // 20))
        recent = range(max(1, self.count - max(self.count // 26, 4 * waiting)), self.count + 1)
        places = iter(self.rng.sample(recent, waiting))
        live: dict[int, Execution | Decision] = dict.fromkeys(places, Decision.PENDING)
        late = range(max(1, self.count - max(60, self.count // 4_000)), self.count + 1)
        for state, share in (
            (Execution.QUEUED, 8),
            (Execution.IN_PROGRESS, 6),
            (Execution.OUTCOME_UNKNOWN, 12),
        ):
            live |= dict.fromkeys(self.rng.sample(late, max(2, len(late) // share)), state)
        return live

    def _row(self, number: int) -> Row:
        kind = self.types[int(self.rng.random() * len(self.types))]
        row = {**BLANK, **self._what(kind), **self._keys(number)}
        created = self.now - SPAN + int((number - self.rng.random()) * SPAN / self.count)
        row["created_at"] = text(created)
        state = self.live.get(number)
        if state is None:
            self._end(row, kind, created)
        elif state is Decision.PENDING:
            self._wait(row, created)
        else:
            self._run(row, state, created)
        return row

    def _keys(self, number: int) -> Row:
        bits = self.rng.getrandbits
        intent = f"{bits(256):064x}"
        in_investigation = self.rng.random() < 0.8
        cases = self.world.investigations
        # Actions of one investigation lie near each other in time.
        at = number * len(cases) // (self.count + 1)
        return {
            "id": number,
            "public_id": f"{number:012x}{bits(80):020x}",
            "intent_key": intent,
            "proposal_key": intent,
            "fingerprint": f"{bits(256):064x}",
            "investigation_id": cases[at] if in_investigation else None,
        }

    def _what(self, kind: ActionType) -> Row:
        entry, random = CATALOGUE[kind], self.rng.random
        where = self._where(entry)
        names = self.names[entry.kind]
        # Squared: some names come up all the time, most seldom.
        name = names[int(random() ** 2 * len(names))] if names else where.get("on_name", "Everyone")
        verdict = Verdict.MALICIOUS if random() < 0.8 else Verdict.SUSPICIOUS
        return {
            "type": kind.value, "area": entry.area.value, "risk": entry.risk.value, "verdict": verdict.value,
            "target_kind": entry.kind.value, "target_name": name, **where,
        }  # fmt: skip

    def _where(self, entry: Entry) -> Row:
        if entry.kind in TENANT:
            return {"on_name": "Everyone"}
        places = self.devices if entry.area is Area.DEVICE else self.mailboxes
        return places[int(self.rng.random() * len(places))]

    def _wait(self, row: Row, created: int) -> None:
        code = WAITS_BECAUSE[_level(row)]
        expires = max(created + EXPIRY, self.now + int((1 + 24 * self.rng.random()) * HOUR))
        if self.rng.random() < NOT_SWEPT:
            expires = self.now - MINUTE
        row.update(
            decision=Decision.PENDING.value, execution=Execution.NONE.value, expires_at=text(expires), updated_at=row["created_at"],
            source=_automated(row), policy=_policy(row, code), reason_code=code,
        )  # fmt: skip

    def _run(self, row: Row, state: Execution | Decision, created: int) -> None:
        self._decide(row, Ending(Decision.NOT_REQUIRED, Execution.QUEUED), created)
        row["execution"] = state.value
        row["queued_at"] = row["decided_at"]
        if state is not Execution.QUEUED:
            row["started_at"] = row["decided_at"]
        if state is Execution.OUTCOME_UNKNOWN:
            row["unknown_count"] = 1

    def _end(self, row: Row, kind: ActionType, created: int) -> None:
        table = self.endings[_level(row)]
        ending = table[int(self.rng.random() * len(table))]
        undone = self._undone_by(row, kind)
        if undone:
            ending = Ending(Decision.NOT_REQUIRED, Execution.SUCCEEDED)
        decided = self._decide(row, ending, created)
        row["execution"] = ending.execution.value
        row["history_at"] = row["decided_at"]
        if ending.execution is not Execution.NONE:
            self._carry_out(row, ending, decided)
            if ending.execution is Execution.SUCCEEDED and CATALOGUE[kind].inverse:
                self.undoable[CATALOGUE[kind].inverse].append(row)  # type: ignore[index]

    def _decide(self, row: Row, ending: Ending, created: int) -> int:
        """Who said so and when; returns the moment."""
        code = (RUNS_BECAUSE if ending.automatic else WAITS_BECAUSE).get(_level(row), "by_person")
        decided = created if ending.automatic else created + self._within(created, 6 * HOUR)
        row.update(
            decision=ending.decision.value, decided_at=text(decided), decided_by_name="Automation", source=_automated(row),
            policy=_policy(row, code), reason_code=code,
        )  # fmt: skip
        if ending.decision is Decision.EXPIRED:
            row["decided_by_name"] = ""
        elif ending.decision is Decision.WITHDRAWN:
            row["code"] = "withdrawn_verdict"
        elif not ending.automatic:
            self._name_person(row, ending)
        row["updated_at"] = row["decided_at"]
        return decided

    def _name_person(self, row: Row, ending: Ending) -> None:
        people = self.world.people
        person = people[int(self.rng.random() ** 2 * len(people))]
        row["decided_by_id"], row["decided_by_name"] = person.pk, person.shown_name
        if ending.decision is Decision.APPROVED:
            row["approved_fingerprint"] = row["fingerprint"]
        elif ending.decision is Decision.NOT_REQUIRED:
            row.update(
                requested_by_id=person.pk, requested_by_name=person.shown_name, reason_code="by_person",
                source=(Source.MANUAL_DEVICE if row["area"] == Area.DEVICE else Source.EXPLORER).value,
                proposers=f'["{person.ref}"]',
            )  # fmt: skip

    def _carry_out(self, row: Row, ending: Ending, decided: int) -> None:
        finished = decided + self._within(decided, 90 * SECOND)
        row["queued_at"] = row["started_at"] = row["decided_at"]
        row["history_at"] = row["finished_at"] = row["updated_at"] = text(finished)
        if ending.execution is Execution.SUCCEEDED:
            row["succeeded_count"] = 1
            row["read_back_at"] = row["finished_at"]
        elif ending.execution is Execution.PARTLY_SUCCEEDED:
            row.update(target_count=2, succeeded_count=1, failed_count=1, code="partly_done")
        elif ending.execution is Execution.FAILED:
            row.update(failed_count=1, code="refused")

    def _undone_by(self, row: Row, kind: ActionType) -> bool:
        """Let an inverse action undo a recent one, if there is one it can."""
        if not self.undoable[kind]:
            return False
        original = self.undoable[kind].pop()
        original["undone_by_id"], row["undo_of_id"] = row["id"], original["id"]
        for name in ("target_name", "on_name", "device_id", "mailbox_id", "group_id", "group_name", "level"):
            row[name] = original[name]
        return True

    def _within(self, moment: int, mean: int) -> int:
        """Milliseconds something took, never reaching past now."""
        return min(int(self.rng.expovariate(1 / mean)) + 1, max(1, (self.now - MINUTE - moment) // 2))


def _spread(weights: Mapping[V, float], size: int) -> Sequence[V]:
    """Each value as often as its share of `size`: drawing from it is one multiplication."""
    total = sum(weights.values())
    return [value for value, weight in weights.items() for _ in range(max(1, round(size * weight / total)))]


def _endings(alone: float) -> Sequence[Ending]:
    machine, people = sum(AUTOMATIC.values()), sum(BY_PEOPLE.values())
    weights = {ending: weight * alone / machine for ending, weight in AUTOMATIC.items() if alone}
    weights |= {ending: weight * (1 - alone) / people for ending, weight in BY_PEOPLE.items()}
    return _spread(weights, 2_000)


def _level(row: Row) -> AutomationLevel | None:
    return None if row["level"] is None else AutomationLevel(row["level"])


def _automated(row: Row) -> int:
    return (Source.AUTOMATED_DEVICE if row["area"] == Area.DEVICE else Source.AUTOMATED_EMAIL).value


def _policy(row: Row, code: str) -> str:
    """The snapshot that planning keeps, short of what only one kind of target has."""
    return f'{{"code": "{code}", "group_id": {row["group_id"] or "null"}, "level": {_null(row["level"])}, "group": "{row["group_name"]}"}}'


def _null(value: int | None) -> str:
    return "null" if value is None else str(value)
