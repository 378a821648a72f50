"""What the simulator remembers of requests: answers, artefacts, progress, and what it really did."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from actioncenter.connectors.base import Artefact, Json, Outcome, Request, Result


class Ledger:
    def __init__(self, sql: sqlite3.Connection, request: Request) -> None:
        self.sql = sql
        self.request = request

    def known(self) -> bool:
        return self._one("SELECT 1 FROM requests WHERE id = ?") is not None

    def open(self) -> None:
        self.sql.execute(
            "INSERT OR IGNORE INTO requests (id, type) VALUES (?, ?)", (self.request.id, self.request.type)
        )

    def cancel(self) -> None:
        self.open()
        self.sql.execute("UPDATE requests SET cancelled = 1 WHERE id = ?", (self.request.id,))

    def cancelled(self) -> bool:
        row = self._one("SELECT cancelled FROM requests WHERE id = ?")
        return bool(row and row[0])

    def progress(self) -> Json:
        row = self._one("SELECT progress FROM requests WHERE id = ?")
        progress: Json = json.loads(row[0]) if row else {}
        return progress

    def save(self, progress: Json) -> None:
        self.open()
        self.sql.execute(
            "UPDATE requests SET progress = ? WHERE id = ?", (json.dumps(progress), self.request.id)
        )

    def answers(self, keys: Iterable[str]) -> dict[str, Result]:
        """Those of the given targets that were answered before."""
        found = {}
        for key in keys:
            row = self.sql.execute(
                "SELECT body FROM answers WHERE request = ? AND key = ?", (self.request.id, key)
            ).fetchone()
            if row:
                body = json.loads(row[0])
                found[key] = Result(**{**body, "outcome": Outcome(body["outcome"])})
        return found

    def answer(self, result: Result) -> None:
        self.sql.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)",
            (self.request.id, result.key, json.dumps(asdict(result))),
        )

    def keep(self, key: str, artefact: Artefact) -> None:
        self.sql.execute(
            "INSERT OR REPLACE INTO artefacts VALUES (?, ?, ?, ?, ?)",
            (self.request.id, key, artefact.name, artefact.media_type, b"".join(artefact.blocks())),
        )

    def artefacts(self) -> Sequence[Artefact]:
        rows = self.sql.execute(
            "SELECT name, media_type, content FROM artefacts WHERE request = ? ORDER BY rowid",
            (self.request.id,),
        )
        return [Artefact(*row) for row in rows]

    def effect(self, key: str, changed: bool, at: float) -> None:
        """Record that the target was really acted on, whether or not that changed anything."""
        self.sql.execute(
            "INSERT INTO effects (request, key, type, changed, at) VALUES (?, ?, ?, ?, ?)",
            (self.request.id, key, self.request.type, changed, at),
        )

    def _one(self, query: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self.sql.execute(query, (self.request.id,)).fetchone()
        return row
