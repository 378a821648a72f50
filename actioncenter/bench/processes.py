"""What a process and everything it started take: memory and CPU time, as Linux tells."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TICK: Final = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for each in children:
        yield from family(int(each))


def memory_of(pids: list[int]) -> int:
    """Bytes, what several share counted once."""
    return sum(map(_share, pids))


def cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def _share(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
