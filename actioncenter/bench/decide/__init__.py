"""The benchmark `decide`: what a bulk decision costs, and whether many at once get in each other's way."""

import random
from collections.abc import Sequence

from actioncenter.accounts.models import User
from actioncenter.audit.actor import Actor
from actioncenter.bench.asked import Asked
from actioncenter.bench.decide.bulk import AT_ONCE, approve_all, bare_update, most_statements, reopened
from actioncenter.bench.decide.crowd import hold_contest, overlapping
from actioncenter.bench.decide.making import waiting
from actioncenter.bench.measuring import CpuClock, backend_of_django, cost, percentile
from actioncenter.bench.population.loading import analyse
from actioncenter.bench.report import Report, Table, ratio
from actioncenter.settings.enums import Role

DECIDERS, PEOPLE, ROUNDS = 4, 16, 200
MILLI = 1_000_000


def run(asked: Asked) -> Report:
    """Approve `rows` waiting actions, each with evidence, target and plan, as a person does it in bulk.

    *Ours*: `Action.objects.approve_many` in chunks of 500, which checks rights, rules and plans, casts
    votes, decides, records keyed audit events and brings evidence in line. *Bare*: one UPDATE that sets
    the same columns of the same rows in the same table, with its indexes. CPU time of this process and
    its database backend; both run once per round in a new order, the rows are made to wait again and
    the table is vacuumed in between; medians. Statements are those of the dearest chunk, without
    savepoints and the like. Then four processes approve random overlapping chunks of all rows: a chunk
    that raises is aborted, an action that two were told to have approved is doubled. Last, 16 signed-in
    people, each a process, send the same decision at the same moment, 200 times
    (fewer for fewer than 10,000 rows), through the whole
    stack below the server; wall time of each request, because a person waits for that.
    """
    rng = random.Random(asked.seed)  # noqa: S311 - order of measurements
    rounds = max(1, min(ROUNDS, asked.rows // 50))
    numbers = waiting(asked.rows + rounds, say=asked.say)
    many, single = numbers[: asked.rows], numbers[asked.rows :]
    people = [_person(at) for at in range(PEOPLE)]
    ours, bare = _in_turns(many, people[0].actor(), asked, rng)
    statements = most_statements(reopened(many), people[0].actor())
    asked.say(f"{DECIDERS} deciders on overlapping chunks ...")
    aborted, doubled = overlapping(reopened(many), people[:DECIDERS], rng)
    asked.say(f"{PEOPLE} people decide {rounds} actions at once ...")
    answers = hold_contest(single, people)
    taken = [milliseconds for _, _, milliseconds in answers]
    doubled += sum(_won(answers, number) != 1 for number in single)
    aborted += sum(status >= 500 for _, status, _ in answers)
    ratios = {
        "bulk_vs_bare_update": ratio(ours, bare),
        "statements_per_chunk": statements,
        "aborted": aborted,
        "doubled": doubled,
        "contest_p99_ms": float(f"{percentile(taken, 0.99):.3g}"),
    }
    return Report("decide", asked.rows, asked.database, ratios, _tables(ours, bare, taken))


def _in_turns(numbers: Sequence[int], by: Actor, asked: Asked, rng: random.Random) -> tuple[float, float]:
    """Median CPU milliseconds of both."""
    asked.say(f"Approving {len(numbers):,} actions in chunks of {AT_ONCE} ...")
    clock = CpuClock.with_backends(backend_of_django())
    ways = {"ours": lambda: approve_all(numbers, by), "bare": lambda: bare_update(numbers, by)}
    taken: dict[str, list[float]] = {who: [] for who in ways}
    for turn in range(asked.rounds + 1):
        for who in rng.sample(sorted(ways), len(ways)):
            reopened(numbers)
            analyse()
            spent = cost(ways[who], clock) / MILLI
            if turn:
                taken[who].append(spent)
    return percentile(taken["ours"], 0.5), percentile(taken["bare"], 0.5)


def _person(at: int) -> User:
    enrol = User.objects.enrol
    by = Actor.command("bench")
    return enrol(f"bench-{at}", by=by, roles=[Role.RESPONDER], display_name=f"Responder {at}")


def _won(answers: Sequence[tuple[int, int, float]], number: int) -> int:
    return sum(status in (200, 302) for asked, status, _ in answers if asked == number)


def _tables(ours: float, bare: float, taken: Sequence[float]) -> Sequence[Table]:
    shares = [percentile(taken, share) for share in (0.5, 0.95, 0.99, 1)]
    return [
        Table("Bulk, CPU ms", ["ours", "one bare UPDATE"], [[f"{ours:.0f}", f"{bare:.0f}"]]),
        Table(
            f"{PEOPLE} people at once, ms",
            ["requests", "median", "p95", "p99", "max"],
            [[f"{len(taken):,}", *(f"{value:.0f}" for value in shares)]],
        ),
    ]
