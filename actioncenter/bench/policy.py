"""The benchmark `policy`: how many verdicts are decided per second."""

import random
import time
from itertools import product

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area
from actioncenter.actions.policy import Facts, decide
from actioncenter.bench.asked import Asked
from actioncenter.bench.report import Report, Table
from actioncenter.settings.enums import AutomationLevel, FolderClass
from investigations.enums import Verdict


def run(asked: Asked) -> Report:
    """Decide `rows` findings drawn from every combination of verdict, level, folder and type; CPU time.

    One process, no database: policy is a pure function. The best of the rounds counts, because
    whatever disturbs a pure function only makes it slower.
    """
    rng = random.Random(asked.seed)  # noqa: S311 - data, not secrets
    levels = [*AutomationLevel, None]
    every = [_facts(*parts) for parts in product(ActionType, Verdict, levels, FolderClass)]
    wanted = rng.choices(every, k=asked.rows)
    best = min(_seconds(wanted) for _ in range(max(1, min(asked.rounds, 5))))
    per_second = float(f"{asked.rows / best:.3g}")
    lines = [[f"{asked.rows:,}", f"{best:.2f}", f"{per_second:,.0f}"]]
    table = Table("Policy", ["decisions", "CPU s", "per second"], lines)
    return Report("policy", asked.rows, asked.database, {"decisions_per_s": per_second}, [table])


def _facts(kind: ActionType, verdict: Verdict, level: AutomationLevel | None, folder: FolderClass) -> Facts:
    return Facts(
        area=Area.EMAIL if level is None else CATALOGUE[kind].area,
        verdict=verdict,
        level=level,
        folder_class=folder,
        action_type=kind,
        group_name="Finance laptops",
        device_name="lap-berlin-00001",
        path="C:\\Windows\\Temp\\invoice.exe",
    )


def _seconds(wanted: list[Facts]) -> float:
    started = time.process_time()
    for facts in wanted:
        decide(facts)
    return time.process_time() - started
