"""Writing decisions down: votes, the conditional update, events and marks.

On PostgreSQL all of them are one statement, which is what makes a bulk decision cheap; SQLite has no
statement that writes to several tables, so there the same parts run one after another. The rows travel as
a list for each column or as one JSON text, because as many parameters cost more than the work itself.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.db import connection, transaction

from actioncenter.actions import dispatch
from actioncenter.actions.enums import Decision, Execution
from actioncenter.actions.models import voting
from actioncenter.actions.models.ballots import Ballot, Way
from actioncenter.actions.models.conflicts import Conflict
from actioncenter.actions.models.following import AFTER_DECISION, follow_decisions
from actioncenter.actions.models.judging import heads_of
from actioncenter.actions.models.plan import Plan, Vote
from actioncenter.audit import log
from actioncenter.audit.enums import Kind
from investigations.enums import RemediationStatus
from investigations.models import Mark

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action

EVIDENCE_AFTER: Final = {**AFTER_DECISION, Decision.APPROVED: RemediationStatus.RUNNING}
FOLLOWED_AT_ONCE: Final = 25
"""Up to so many decisions bring their evidence in line at once; more leave that to housekeeping."""
FIELDS: Final[Mapping[str, str]] = {
    "action": "bigint", "revision": "int", "fingerprint": "text", "plan": "bigint", "seal": "text",
    "votes": "int", "decides": "int",
}  # fmt: skip
"""What is sent of each row, with its type."""


def write(model: "type[Action]", rows: Sequence[Any], way: Way, ballot: Ballot) -> set[int]:
    """Cast the votes and decide what has enough of them; returns the ids that were decided.

    The caller holds the rows' locks and has judged them (`deciding.locked_rows`). Raises Conflict.
    """
    if not rows:
        return set()
    decided = _with_enough(rows, way, ballot)
    ready = [row for row in rows if row.id in decided]
    records = [_record(row, way, decides=row.id in decided) for row in rows]
    events = _events(rows, records, way, ballot)
    changed = _write(model, heads_of(rows), way, ballot, records, events, _investigations(ready))
    if changed != len(ready):
        raise Conflict(ready[0], "decided", "Somebody decided meanwhile. Nothing was recorded.")
    if len(ready) <= FOLLOWED_AT_ONCE:
        follow_decisions(ready, EVIDENCE_AFTER[way.decision])
    if way.approves and decided:
        transaction.on_commit(partial(dispatch.wake, sorted(decided)), robust=True)
    return decided


def _with_enough(rows: Sequence[Any], way: Way, ballot: Ballot) -> set[int]:
    """Rows whose votes suffice with this one."""
    several = [] if way.alone else [row for row in rows if _takes_several(row, way)]
    if not several:
        return {row.id for row in rows}
    counted = voting.tallies(several, {row.id: row.plan_now for row in several})
    me = ballot.by.ref
    return {row.id for row in rows if row.id not in counted or _suffices(row, way, counted[row.id], me)}


def _takes_several(row: "Action", way: Way) -> bool:
    if way.approves:
        return voting.needs_several(row)
    return int(row.approval_rule.get("deny_quorum", 1)) > 1


def _suffices(row: "Action", way: Way, tally: voting.Tally, me: str) -> bool:
    if way.approves:
        return not tally.missing(row.approval_rule, me)
    return len(tally.deniers | {me}) >= int(row.approval_rule["deny_quorum"])


def _record(row: Any, way: Way, *, decides: bool) -> dict[str, Any]:
    """An approval binds the newest plan, unless that is too old."""
    bound = way.approves and row.plan_pk is not None and not row.plan_ended
    return {
        "action": row.id,
        "revision": row.revision,
        "fingerprint": row.fingerprint,
        "plan": row.plan_pk if bound else 0,
        "seal": (row.plan_seal or _seal_of(row.plan_pk)) if bound else "",
        "votes": int(row.voted is None),
        "decides": int(decides),
    }


def _seal_of(plan: int) -> str:
    """Of a plan from before plans kept it."""
    return Plan.objects.get(pk=plan).seal


def _events(
    rows: Sequence[Any], records: Sequence[Mapping[str, Any]], way: Way, ballot: Ballot
) -> list[log.Draft]:
    before = {"decision": Decision.PENDING.name}
    voted, over = ({"decision": name, "choice": way.choice.name} for name in ("PENDING", way.decision.name))
    return [
        row.draft(
            way.event if record["decides"] else Kind.ACTION_VOTED,
            by=ballot.by,
            before=before,
            after=over if record["decides"] else voted,
            detail={
                "comment": ballot.comment,
                "revision": row.revision,
                "fingerprint": row.fingerprint,
                "plan": row.plan_now if record["plan"] else "",
                "sealed": record["seal"],
                "mode": ballot.mode,
            },
        )
        for row, record in zip(rows, records, strict=True)
    ]


def _investigations(rows: Sequence["Action"]) -> list[int]:
    return sorted({row.investigation_id for row in rows if row.investigation_id})


def _write(
    model: "type[Action]", heads: log.Heads, way: Way, ballot: Ballot, records: Sequence[Mapping[str, Any]],
    events: Sequence[log.Draft], dirty: Sequence[int],
) -> int:  # fmt: skip
    """Returns how many actions were decided."""
    marked = json.dumps(dirty)
    votes, cast = _votes(way, ballot)
    update, set_to = _update(model, heads.at, way, ballot)
    marks = (
        f"INSERT INTO {Mark._meta.db_table} (investigation_id) SELECT value FROM {_LIST[connection.vendor]}"  # noqa: S608 - constants
    )
    if connection.vendor == "postgresql":
        insertion, inserted = log.insertion(events, heads)
        sent = [[record[name] for record in records] for name in FIELDS]
        with log.beside() as cursor:
            cursor.execute(
                f"WITH sent AS MATERIALIZED (SELECT * FROM {_POSTGRES_SENT}), votes AS ({votes}),"  # noqa: S608 - constants
                f" events AS ({insertion}), marks AS ({marks}) {update}",
                [*sent, *cast, *inserted, marked, *set_to],
            )
            return int(cursor.rowcount)
    with connection.cursor() as cursor:
        cursor.execute(votes, [*cast, json.dumps(records)])
        log.record_many(events, heads)
        cursor.execute(marks, [marked])
        cursor.execute(update, [*set_to, json.dumps(records)])
        return int(cursor.rowcount)


def _votes(way: Way, ballot: Ballot) -> tuple[str, list[Any]]:
    said = {
        "choice": int(way.choice),
        "user_id": ballot.by.user_id,
        "user_ref": ballot.by.ref,
        "user_name": ballot.by.name,
        "comment": ballot.comment,
        "mode": ballot.mode,
    }
    statement = (
        f"INSERT INTO {Vote._meta.db_table} (action_id, revision, fingerprint, plan_id, {', '.join(said)})"  # noqa: S608 - constants
        f" SELECT action, revision, fingerprint, nullif(plan, 0), {', '.join('%s' for _ in said)} FROM {_SENT[connection.vendor]} WHERE votes = 1"
    )
    return statement, list(said.values())


def _update(model: "type[Action]", moment: Any, way: Way, ballot: Ballot) -> tuple[str, list[Any]]:
    """The conditional update itself."""
    said: dict[str, Any] = {
        "decision": way.decision,
        "decided_by": ballot.by.user_id,
        "decided_by_name": ballot.by.name,
        "decided_at": moment,
        "decision_comment": ballot.comment,
        "approval_id": ballot.approval_id,
        "updated_at": moment,
    }
    if way.approves:
        said |= {"execution": Execution.QUEUED, "queued_at": moment, "break_glass": way.alone}
    else:
        said |= {"history_at": moment, "finished_at": moment}
    fields: dict[Any, Any] = {model._meta.get_field(name): value for name, value in said.items()}
    sets = [f"{field.column} = %s" for field in fields]
    if way.approves:
        sets += [
            "approved_fingerprint = sent.fingerprint",
            "approved_plan_id = nullif(sent.plan, 0)",
            "approved_plan_digest = sent.seal",
        ]
    table = model._meta.db_table
    statement = (
        f"UPDATE {table} SET {', '.join(sets)} FROM {_SENT[connection.vendor]}"  # noqa: S608 - constants
        f" WHERE {table}.id = sent.action AND sent.decides = 1 AND {table}.decision = {Decision.PENDING:d}"
    )
    return statement, [field.get_db_prep_save(value, connection) for field, value in fields.items()]


_EXTRACTED: Final = ", ".join(f"value ->> '$.{name}' AS {name}" for name in FIELDS)
_LISTS: Final = ", ".join(f"%b::{type_}[]" for type_ in FIELDS.values())
_POSTGRES_SENT: Final = f"unnest({_LISTS}) AS r({', '.join(FIELDS)})"
_SENT: Final = {
    "postgresql": "sent",
    # Not WITH before it: Python's driver then no longer says how many rows were changed.
    "sqlite": f"(SELECT {_EXTRACTED} FROM json_each(%s)) AS sent",  # noqa: S608 - constants
}
_LIST: Final = {
    "postgresql": "(SELECT value::bigint FROM json_array_elements_text(%s) AS value) AS marked",
    "sqlite": "json_each(%s)",
}
