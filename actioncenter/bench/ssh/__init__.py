"""The benchmark `ssh`: one real host and many, by the connector and by the same helper through ansible-core."""

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from actioncenter.actions.enums import ActionType
from actioncenter.bench.asked import Asked
from actioncenter.bench.report import Report, Table, ratio
from actioncenter.bench.ssh import ansible
from actioncenter.bench.ssh.ansible import Ansible
from actioncenter.bench.ssh.deeds import BRINGING, PAIRS, Deed
from actioncenter.bench.ssh.hosts import Hosts, Took
from actioncenter.connectors.base import Json
from actioncenter.estate import lab

OURS, THEIRS = "connector", "ansible-core"
NOTHING: Final = "-"


def run(asked: Asked) -> Report:
    """Every action on one host and on `rows` hosts of this machine, `rounds` times.

    The hosts are real: each has an sshd and a helper of its own, and shares the cores with us. Wall time, medians. In
    each round everything is done and taken back: by the connector and by ansible-core in random order, on one host and
    then on all. Ansible signs in as root with a key and gives the same helper the same request by its module `command`;
    it confirms an isolation over a new connection as we do. Packages, samples and leaving are measured once, by the connector alone: the
    first two go on after the call and bring files, for which ansible would need a play of its own.
    Memory is what this process needs more at the highest place of any action on all hosts than right before it.
    """
    with (
        lab.owned("bench", asked.rows) as up,
        tempfile.TemporaryDirectory(prefix="actioncenter-bench-") as folder,
    ):
        asked.say(f"{asked.rows} hosts are up, and are enrolled")
        hosts = Hosts.enrolled(up)
        asked.say("ansible-core gets an environment of its own")
        theirs, why_not = ansible.prepared(hosts, Path(folder))
        return _measured(asked, hosts, theirs, why_not)


def _measured(asked: Asked, hosts: Hosts, theirs: Ansible | None, why_not: str) -> Report:
    chance = random.Random(asked.seed)  # noqa: S311
    ways: dict[str, Hosts | Ansible] = {OURS: hosts} | ({THEIRS: theirs} if theirs else {})
    series, held = Series({}), []
    for turn in range(asked.rounds):
        asked.say(f"round {turn + 1} of {asked.rounds}")
        for there, back in PAIRS:
            for name in chance.sample(list(ways), len(ways)):
                for places in ([turn % asked.rows], list(range(asked.rows))):
                    before = series.add(there, name, places, ways[name].carry_out(there, places, {}))
                    if there.type is ActionType.ISOLATE_DEVICE and len(places) == asked.rows:
                        held.append(hosts.isolated())
                    series.add(back, name, places, ways[name].carry_out(back, places, before))
    for deed in BRINGING:
        asked.say(deed.name)
        for places in ([0], list(range(asked.rows))):
            series.add(deed, OURS, places, hosts.carry_out(deed, places, {}))
            if deed.type is ActionType.OFFBOARD_DEVICE and len(places) < asked.rows:
                hosts.enrol(0)
    return _report(asked, series, min(held), why_not)


@dataclass
class Series:
    """Seconds by deed, way and number of hosts; MiB at the most."""

    seconds: dict[tuple[str, str, int], list[float]]
    growth: float = 0.0

    def add(self, deed: Deed, way: str, places: Sequence[int], took: Took) -> dict[int, Json]:
        """Returns what is needed to take it back."""
        self.seconds.setdefault((deed.name, way, len(places)), []).append(took.seconds)
        self.growth = max(self.growth, took.grown)
        return took.kept


def _report(asked: Asked, series: Series, held: int, why_not: str) -> Report:
    middle = {of: median(seconds) for of, seconds in series.seconds.items()}
    one, every = middle["isolate", OURS, 1], middle["isolate", OURS, asked.rows]
    ratios = {
        "all_vs_one": ratio(every, one),
        "in_force": held / asked.rows,
        "memory_mib": round(series.growth, 1),
        "ansible_vs_ours_one": _against(middle, 1),
        "ansible_vs_ours_all": _against(middle, asked.rows),
    }
    names = [deed.name for pair in PAIRS for deed in pair] + [deed.name for deed in BRINGING]
    columns = [(way, number) for number in sorted({1, asked.rows}) for way in (OURS, THEIRS)]
    lines = [[name, *(_shown(middle.get((name, *column))) for column in columns)] for name in names]
    head = ["s", *(f"{way}, {number} host{'s' * (number > 1)}" for way, number in columns)]
    notes = [f"Without ansible-core: {why_not}"] if why_not else []
    return Report(
        "ssh", asked.rows, asked.database, ratios, [Table("Seconds for all of them", head, lines)], notes
    )


def _against(middle: dict[tuple[str, str, int], float], number: int) -> float | None:
    theirs = middle.get(("isolate", THEIRS, number))
    return ratio(theirs, middle["isolate", OURS, number]) if theirs else None


def _shown(seconds: float | None) -> str:
    return NOTHING if seconds is None else f"{seconds:.2f}"
