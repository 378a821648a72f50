"""The simulated estate: one SQLite file that several processes and threads share.

What a person at the keyboard of a simulated device would do goes through here too (`change`,
`vanish`), and so do the faults that the demo and the tests switch on (`behave`).
"""

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from actioncenter.connectors.simulator.faults import Behaviour
from actioncenter.connectors.simulator.scene import Ref, Scene, State
from actioncenter.connectors.simulator.schema import TABLES, VERSION
from actioncenter.connectors.simulator.seeding import things

BUSY_SECONDS: Final = 30.0


class Estate:
    """Opens a connection per transaction: cheap with SQLite, and safe over threads and forks."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Scene]:
        """A scene that refuses to be written."""
        with self._open() as sql:
            sql.execute("PRAGMA query_only = ON")
            sql.execute("BEGIN")
            try:
                yield Scene(sql)
            finally:
                sql.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self) -> Iterator[Scene]:
        with self._open() as sql:
            sql.execute("BEGIN IMMEDIATE")
            try:
                yield Scene(sql)
            except BaseException:
                sql.execute("ROLLBACK")
                raise
            sql.execute("COMMIT")

    def seed(self, description: Mapping[str, Any]) -> int:
        """Add what isn't there yet; returns how many things were added. See `seeding.things`."""
        added = 0
        with self.writing() as scene:
            for ref, state in things(description):
                if scene.get(ref) is None:
                    scene.put(ref, state)
                    added += 1
        return added

    def state(self, kind: str, name: str, owner: str = "") -> State | None:
        with self.reading() as scene:
            return scene.get(Ref(kind, owner, name))

    def change(self, kind: str, name: str, owner: str = "", **fields: Any) -> None:
        """Change a thing behind the connector's back; makes it if it isn't there."""
        ref = Ref(kind, owner, name)
        with self.writing() as scene:
            scene.put(ref, {**(scene.get(ref) or {}), **fields})

    def vanish(self, kind: str, name: str, owner: str = "") -> None:
        """The thing goes away by itself: a message its owner purged, a process that ended."""
        self.change(kind, name, owner, gone=True)

    def behave(
        self, behaviour: Behaviour | str, value: Any = True, *, owner: str = "", times: int | None = None
    ) -> None:
        """Switch a fault on, for one device or mailbox or, without owner, for all.

        `value`: seconds for slow, n for flaky (every n-th call), a fraction for partial, a code
        for refuse, the id of the other job for conflict. `times` lets it happen so often only.
        """
        name = Behaviour(behaviour).value
        with self.writing() as scene:
            scene.sql.execute(
                "INSERT OR REPLACE INTO behaviours (owner, name, value, times) VALUES (?, ?, ?, ?)",
                (owner, name, json.dumps(value), times),
            )

    def behave_normally(self) -> None:
        with self.writing() as scene:
            scene.sql.execute("DELETE FROM behaviours")

    def require_token(self, token: str) -> None:
        """From now on only a connector whose secret holds this token is let in."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        with self.writing() as scene:
            scene.sql.execute("INSERT OR REPLACE INTO meta VALUES ('token', ?)", (digest,))

    def effects(self, request: str | None = None) -> dict[tuple[str, str], int]:
        """How often each (request id, target key) was really acted on. More than once is a double."""
        query = (
            "SELECT request, key, COUNT(*) FROM effects WHERE ? IS NULL OR request = ? GROUP BY request, key"
        )
        with self.reading() as scene:
            return {(row[0], row[1]): row[2] for row in scene.sql.execute(query, (request, request))}

    def digest(self) -> str:
        """Of the whole state; requests, answers and faults don't count."""
        found = hashlib.sha256()
        with self.reading() as scene:
            for row in scene.sql.execute("SELECT kind, owner, name, state FROM things ORDER BY 1, 2, 3"):
                found.update(json.dumps(row).encode())
        return found.hexdigest()

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        sql = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            sql.execute("PRAGMA synchronous = NORMAL")
            if sql.execute("PRAGMA user_version").fetchone()[0] < VERSION:
                _create(sql)
            yield sql
        finally:
            sql.close()


def _create(sql: sqlite3.Connection) -> None:
    """Make the tables once, also when several processes arrive at the same new file."""
    _write_ahead(sql)
    sql.execute("BEGIN IMMEDIATE")
    try:
        if sql.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            for statement in TABLES.split(";"):
                sql.execute(statement)
            sql.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        sql.execute("ROLLBACK")
        raise
    sql.execute("COMMIT")


def _write_ahead(sql: sqlite3.Connection) -> None:
    """SQLite refuses at once, without waiting, while another process changes the same file's mode."""
    over = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            sql.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > over:
                raise
            time.sleep(0.01)
        else:
            return


def seed(path: str | Path, description: Mapping[str, Any]) -> int:
    """Fill the estate at `path`; what is already there stays as it is."""
    return Estate(path).seed(description)
