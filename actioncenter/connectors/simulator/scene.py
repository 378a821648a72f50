"""The estate as one transaction sees it: things with a state, found by kind, owner and name."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

State = dict[str, Any]

DEVICE = "device"
MAILBOX = "mailbox"
MESSAGE = "message"
FILE = "file"
VAULT = "vault"
PROCESS = "process"
SERVICE = "service"
DRIVER = "driver"
TASK = "task"
REGISTRY = "registry"
URL = "url"
SENDER = "sender"
JOB = "job"


@dataclass(frozen=True, slots=True)
class Ref:
    """`owner` is the device of an entity, empty for devices, mailboxes, messages and the tenant's blocks."""

    kind: str
    owner: str
    name: str


class Scene:
    def __init__(self, sql: sqlite3.Connection) -> None:
        self.sql = sql

    def get(self, ref: Ref) -> State | None:
        row = self.sql.execute(
            "SELECT state FROM things WHERE kind = ? AND owner = ? AND name = ?",
            (ref.kind, ref.owner, ref.name),
        ).fetchone()
        return _state(row[0]) if row else None

    def put(self, ref: Ref, state: State | None) -> None:
        """Write a thing; None removes it."""
        key = (ref.kind, ref.owner, ref.name)
        if state is None:
            self.sql.execute("DELETE FROM things WHERE kind = ? AND owner = ? AND name = ?", key)
        else:
            body = json.dumps(state, sort_keys=True)
            self.sql.execute("INSERT OR REPLACE INTO things VALUES (?, ?, ?, ?)", (*key, body))

    def of(self, kind: str, owner: str = "") -> Iterator[tuple[Ref, State]]:
        rows = self.sql.execute(
            "SELECT name, state FROM things WHERE kind = ? AND owner = ? ORDER BY name", (kind, owner)
        )
        for name, body in rows.fetchall():
            yield Ref(kind, owner, name), _state(body)

    def where(
        self, kind: str, conditions: Sequence[str], values: Mapping[str, Any], *, limit: int = -1
    ) -> Iterator[tuple[Ref, State]]:
        """Things of a kind that meet all SQL conditions; these are ours, the named values are not."""
        condition = " AND ".join(("kind = :kind", *conditions))
        query = f"SELECT owner, name, state FROM things WHERE {condition} ORDER BY owner, name LIMIT :limit"  # noqa: S608 - see above
        for owner, name, body in self.sql.execute(query, {**values, "kind": kind, "limit": limit}).fetchall():
            yield Ref(kind, owner, name), _state(body)

    def messages(self, message_id: str) -> Iterator[tuple[Ref, State]]:
        rows = self.sql.execute(
            "SELECT name, state FROM things WHERE kind = 'message' AND json_extract(state, '$.message_id') = ?",
            (message_id,),
        )
        for name, body in rows.fetchall():
            yield Ref(MESSAGE, "", name), _state(body)


def _state(body: str) -> State:
    state: State = json.loads(body)
    return state
