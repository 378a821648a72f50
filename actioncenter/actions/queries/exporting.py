"""A list as rows for a file: all of it, in its order, in words that need no other table.

What it costs is what the database needs to write it down: words are made from codes there, no row becomes an
object, and none is held longer than it takes to pass it on.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.db.models import Case, F, Func, OuterRef, QuerySet, Subquery, TextField, Value, When
from django.db.models.functions import Cast, Coalesce, Now, NullIf
from django.db.models.sql.compiler import SQLCompiler

from actioncenter.actions import words
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ALLOWED, Decision, Execution
from actioncenter.actions.models import Action
from actioncenter.actions.queries.criteria import UNDONE
from actioncenter.actions.queries.listing import Listing, Tab
from actioncenter.actions.queries.pages import arranged
from actioncenter.actions.queries.targets import Targets
from actioncenter.web.keyset import compiled, joined
from actioncenter.web.statements import Compiled

SECONDS: Final = 19
"""Length of a moment without its fractions."""


class Column(NamedTuple):
    """`outside`: text that somebody else has written, which a spreadsheet may take for a formula."""

    key: str
    head: str
    of: Any
    outside: bool = False


class Word(Func):
    """The name of a small code. PostgreSQL finds it in an array, which takes a tenth of trying code after code."""

    def __init__(self, column: str, names: Mapping[Any, str]) -> None:
        super().__init__(F(column), output_field=TextField())
        self.names = {int(code): name for code, name in names.items()}

    def as_sql(
        self, compiler: SQLCompiler, connection: Any, *args: Any, **more: Any
    ) -> tuple[str, tuple[Any, ...]]:
        column, params = compiler.compile(self.get_source_expressions()[0])
        cases = " ".join("WHEN %s THEN %s" for _ in self.names)
        named = [value for pair in self.names.items() for value in pair]
        return f"CASE {column} {cases} ELSE '' END", (*params, *named)

    def as_postgresql(
        self, compiler: SQLCompiler, connection: Any, *args: Any, **more: Any
    ) -> tuple[str, tuple[Any, ...]]:
        column, params = compiler.compile(self.get_source_expressions()[0])
        names = [self.names.get(code, "") for code in range(max(self.names) + 1)]
        return f"(%s::text[])[{column} + 1]", (names, *params)


class Moment(Func):
    """To the second, in UTC, without saying so: its head does."""

    def __init__(self, column: str) -> None:
        super().__init__(F(column), output_field=TextField())

    def as_sql(
        self, compiler: SQLCompiler, connection: Any, *args: Any, **more: Any
    ) -> tuple[str, tuple[Any, ...]]:
        column, params = compiler.compile(self.get_source_expressions()[0])
        return f"SUBSTR(CAST({column} AS text), 1, {SECONDS})", tuple(params)

    def as_postgresql(
        self, compiler: SQLCompiler, connection: Any, *args: Any, **more: Any
    ) -> tuple[str, tuple[Any, ...]]:
        # The connection's zone is UTC. Cutting text would cost three times as much.
        column, params = compiler.compile(self.get_source_expressions()[0])
        return f"DATE_TRUNC('second', {column}::timestamp)", tuple(params)


def _result() -> Case:
    """As words.result_of; what is past its expiry has expired whether or not that was written down."""
    executions = {code: words.RESULTS.get(name, "") for code, name in words.EXECUTIONS.items()}
    decisions = {code: label for code, (_, label) in words.DECISIONS.items()}
    rehearsed = {"execution": Execution.CANCELLED, "code": words.DRY_RUN}
    plain = Case(
        When(**rehearsed, then=Value(words.REHEARSED)),
        When(decision__in=sorted(ALLOWED), then=Word("execution", executions)),
        When(decision=Decision.PENDING, expires_at__lte=Now(), then=Value(words.RESULTS["expired"])),
        default=Word("decision", decisions),
        output_field=TextField(),
    )
    undo = Action.objects.filter(pk=OuterRef("undone_by_id"), execution__in=UNDONE)
    undone = Subquery(undo.values(word=Value(words.RESULTS["undone"]))[:1], output_field=TextField())
    taken_back = When(undone_by_id__isnull=False, then=Coalesce(undone, plain))
    return Case(taken_back, default=plain, output_field=TextField())


COLUMNS: Final[Sequence[Column]] = (
    Column("number", "Number", F("id")),
    Column("action", "Action", Word("type", {code: entry.short for code, entry in CATALOGUE.items()})),
    Column("entity", "Entity", Word("target_kind", words.ENTITIES)),
    Column("target", "Target", F("target_name"), outside=True),
    Column("on", "On", F("on_name"), outside=True),
    Column("group", "Group", F("group_name"), outside=True),
    Column("verdict", "Verdict", Word("verdict", {code: label for code, (_, label) in words.VERDICTS.items()})),
    Column("risk", "Risk", Word("risk", words.RISKS)),
    Column("result", "Result", _result()),
    Column("reason", "Reason code", F("reason_code")),
    Column("decided_by", "Decided by", F("decided_by_name"), outside=True),
    Column("decided", "Decided (UTC)", Moment("decided_at")),
    Column("comment", "Comment", F("decision_comment"), outside=True),
    Column("source", "Source", Word("source", words.SOURCES)),
    Column("proposed", "Proposed (UTC)", Moment("created_at")),
    Column("expires", "Expires (UTC)", Moment("expires_at")),
    Column("ended", "Ended (UTC)", Moment("history_at")),
    Column("read_back", "Read back (UTC)", Moment("read_back_at")),
    Column("targets", "Targets", F("target_count")),
    Column("succeeded", "Succeeded", F("succeeded_count")),
    Column("failed", "Failed", F("failed_count")),
    Column("investigation", "Investigation", F("investigation_id")),
    Column("approval", "Approval ID", Cast("approval_id", TextField())),
    Column("undone_by", "Undone by", F("undone_by_id")),
)  # fmt: skip


TARGET_COLUMNS: Final[Sequence[Column]] = (
    Column("action", "Action", F("action_id")),
    Column("target", "Target", F("name"), outside=True),
    Column("on", "On", F("on_name"), outside=True),
    Column("entity", "Entity", Word("kind", words.ENTITIES)),
    Column("result", "Result", Word("state", {state: label for state, (_, label) in words.TARGET_STATES.items()})),
    Column("error_class", "Kind of error", F("error_class")),
    Column("error", "Error", F("error"), outside=True),
    Column("after", "Read back as", NullIf(Cast("after", TextField()), Value("{}", TextField())), outside=True),
    Column("tries", "Tries", F("tries")),
    Column("connector", "Connector", F("instance_name"), outside=True),
    Column("read_back", "Read back (UTC)", Moment("read_back_at")),
    Column("drifted", "Drifted (UTC)", Moment("drifted_at")),
    Column("changed", "Changed (UTC)", Moment("changed_at")),
)  # fmt: skip


def statement(listing: Listing) -> Compiled | None:
    """COLUMNS of every row that the pages of this list show, bands included; None where it is known to be empty."""
    above = listing.bands()
    below = [above.pop()] if listing.tab is Tab.PENDING else []
    bands = [band if band.query.order_by else band.order_by("-queued_at", "-id") for band in above]
    every = (*bands, arranged(listing, listing.order), *below)
    return joined([_columns(rows, COLUMNS) for rows in every])


def target_statement(asked: Targets) -> Compiled | None:
    """TARGET_COLUMNS, as `statement`."""
    return compiled(_columns(asked.arranged(), TARGET_COLUMNS))


def _columns(rows: QuerySet[Any], columns: Sequence[Column]) -> QuerySet[Any, Any]:
    # Under names of their own: an unqualified ORDER BY must never mean the text.
    made = {f"out_{column.key}": column.of for column in columns}
    named: QuerySet[Any, Any] = rows.annotate(**made).values_list(*made)
    return named
