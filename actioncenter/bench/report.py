"""What a benchmark found: tables for people, one JSON object for machines, and whether targets hold."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Number = float | int | None


@dataclass(frozen=True, slots=True)
class Target:
    limit: float
    at_least: bool = False

    def holds(self, value: Number) -> bool:
        """A ratio that wasn't measured holds nothing."""
        if value is None:
            return False
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


ANY_SIZE = 0
NOTHING_LOST = {"errors_outside_restarts": Target(0), "lost": Target(0), "doubled": Target(0)}
TARGETS: Mapping[tuple[str, int], Mapping[str, Target]] = {
    ("pages", 1_000_000): {
        "admin_default_vs_page1": Target(20, at_least=True),
        "page1000_vs_page1": Target(1.2),
        "filters_mismatches": Target(0),
    },
    ("pages", 10_000_000): {
        "page1_vs_bare": Target(1.3),
        "admin_default_vs_page1": Target(500, at_least=True),
        "admin_tuned_vs_page1": Target(10, at_least=True),
        "page1000_vs_page1": Target(1.1),
        "filters_p95_vs_page1": Target(20),
        "filters_max_vs_page1": Target(70),
        "filters_mismatches": Target(0),
    },
    ("decide", 10_000): {
        "bulk_vs_bare_update": Target(2.5),
        "statements_per_chunk": Target(5),
        "aborted": Target(0),
        "doubled": Target(0),
        "contest_p99_ms": Target(500),
    },
    ("dispatch", 10_000): {
        "start_vs_publish": Target(1.3),
        "chunk_gain": Target(20, at_least=True),
        "threads_vs_prefork": Target(10, at_least=True),
        "embedded_p50_ms": Target(5),
    },
    ("audit", 10_000): {
        "chain_vs_plain": Target(0.65, at_least=True),
        "sealed_per_s": Target(20_000, at_least=True),
        "lag_p99_s": Target(2),
        "verified_per_s": Target(30_000, at_least=True),
        "growth_mib": Target(32),
    },
    ("export", 1_000_000): {"vs_copy": Target(1.2), "growth_mib": Target(20)},
    ("live", ANY_SIZE): {"cores_quiet": Target(0.3), "wrong": Target(0)},
    ("mail", 5_000): {
        "one_by_one_vs_ours": Target(5, at_least=True),
        "undo_exact": Target(1, at_least=True),
        "memory_mib": Target(64),
    },
    ("ssh", 50): {
        "all_vs_one": Target(20),
        "in_force": Target(1, at_least=True),
        "memory_mib": Target(100),
    },
    ("urls", 1_000_000): {
        "view_vs_bare": Target(3),
        "lookups_per_s": Target(2000, at_least=True),
        "wrong": Target(0),
    },
    ("chaos", ANY_SIZE): NOTHING_LOST,
    # In a shorter one much is still being used for the first time.
    ("chaos", 30): {
        **NOTHING_LOST,
        "memory_growth": Target(0.1),
        "load_reached": Target(0.95, at_least=True),
    },
}
"""By benchmark and rows (`chaos`: minutes), the same on both databases. Other sizes have none."""


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]

    def text(self) -> Iterator[str]:
        """A table in Markdown, aligned, so that it can be pasted as it is."""
        rows = [list(self.head), *map(list, self.lines)]
        widths = [max(len(row[at]) for row in rows) for at in range(len(self.head))]
        yield f"{self.title}\n"
        for at, row in enumerate(rows):
            cells = [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
            yield f"| {' | '.join(cells)} |"
            if at == 0:
                yield f"|{'-' * (widths[0] + 2)}|{'|'.join('-' * (width + 1) + ':' for width in widths[1:])}|"
        yield ""


@dataclass(frozen=True, slots=True)
class Report:
    bench: str
    rows: int
    database: str
    ratios: Mapping[str, Number]
    tables: Sequence[Table] = field(default_factory=tuple)
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def targets(self) -> Mapping[str, Target]:
        return TARGETS.get((self.bench, self.rows)) or TARGETS.get((self.bench, ANY_SIZE), {})

    @property
    def held(self) -> bool | None:
        """None where no target is set for this size."""
        if not self.targets:
            return None
        return all(target.holds(self.ratios[name]) for name, target in self.targets.items())

    def text(self) -> str:
        lines = [line for table in self.tables for line in table.text()]
        return "\n".join([*lines, *self._ratios().text(), *self.notes, self._verdict()])

    def json(self) -> str:
        return json.dumps(
            {
                "bench": self.bench,
                "rows": self.rows,
                "database": self.database,
                "ratios": self.ratios,
                "targets": {name: str(target) for name, target in self.targets.items()},
                "held": self.held,
            }
        )

    def _ratios(self) -> Table:
        lines = [
            [name, "-" if value is None else f"{value:g}", str(self.targets.get(name, ""))]
            for name, value in self.ratios.items()
        ]
        return Table("Ratios", ["ratio", "measured", "target"], lines)

    def _verdict(self) -> str:
        if self.held is None:
            return f"No targets are set for {self.rows:,} rows."
        return "Every target holds." if self.held else "A target does not hold."


def ratio(value: float, of: float) -> float:
    """Three significant digits: more would be noise."""
    return float(f"{value / of:.3g}") if of else 0.0
