"""Filters of a list as they stand in an address: five that people use, and any number drawn at random."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Execution, Source, TargetKind
from actioncenter.actions.queries import Tab
from actioncenter.bench.population import Filled
from actioncenter.bench.population.vocabulary import RARE_TYPE, WORDS

Query = Mapping[str, str]
RESULTS: Final = (
    "succeeded", "partly_succeeded", "failed", "timed_out", "cancelled", "rejected", "expired", "withdrawn", "undone",
    "running", "queued", "outcome_unknown",
)  # fmt: skip
VERDICTS: Final = ("malicious", "suspicious")
PERIODS: Final = ("day", "week", "month", "half")


def address(tab: Tab, query: Query) -> str:
    path = reverse(f"actions:{tab}")
    return f"{path}?{urlencode(query)}" if query else path


@dataclass(frozen=True, slots=True)
class Case:
    """`ours` narrows our list, `theirs` the admin's, to the same rows."""

    name: str
    tab: Tab
    ours: Query
    theirs: Mapping[str, Any]


def usual(filled: Filled) -> Sequence[Case]:
    """State, one rare type, one small group, source with who decided and when, text; for either tab."""
    group = str(filled.world.groups[-1].pk)
    day, month = ((filled.now - timedelta(days=days)).isoformat() for days in (1, 30))
    text = f"{WORDS[0]}_{WORDS[1]}"
    waits = {"decision": Decision.PENDING.value}
    return [
        Case("failed", Tab.HISTORY, {"result": "failed"}, {"execution": Execution.FAILED.value}),
        Case("a rare type", Tab.HISTORY, {"type": CATALOGUE[RARE_TYPE].code}, {"type": RARE_TYPE.value}),
        Case("a small group", Tab.HISTORY, {"group": group}, {"group__id__exact": group}),
        Case("source, automation, 30 days", Tab.HISTORY,
             {"source": "automated_device", "by": "automation", "since": "month"},
             {"source": Source.AUTOMATED_DEVICE.value, "decision": Decision.NOT_REQUIRED.value,
              "created_at__gte": month}),
        Case("text", Tab.HISTORY, {"q": text}, {"q": text}),
        Case("suspicious", Tab.PENDING, {"verdict": "suspicious"}, {**waits, "verdict": 3}),
        Case("a type", Tab.PENDING, {"type": "soft_delete"}, {**waits, "type": ActionType.SOFT_DELETE_EMAIL.value}),
        Case("a small group", Tab.PENDING, {"group": group}, {**waits, "group__id__exact": group}),
        Case("source, past day", Tab.PENDING, {"source": "automated_email", "since": "day"},
             {**waits, "source": Source.AUTOMATED_EMAIL.value, "created_at__gte": day}),
        Case("text", Tab.PENDING, {"q": text}, {**waits, "q": text}),
    ]  # fmt: skip


def drawn(filled: Filled, count: int, rng: random.Random) -> Sequence[tuple[Tab, Query]]:
    """Every third narrows Pending. One to three filters each."""
    return [_draw(Tab.HISTORY if at % 3 else Tab.PENDING, filled, rng) for at in range(count)]


def _draw(tab: Tab, filled: Filled, rng: random.Random) -> tuple[Tab, Query]:
    values = {
        "type": rng.choice([entry.code for entry in CATALOGUE.values()]),
        "verdict": rng.choice(VERDICTS),
        "group": str(rng.choice(filled.world.groups).pk),
        "entity": rng.choice(list(TargetKind)).name.lower(),
        "source": rng.choice(list(Source)).name.lower(),
        "since": rng.choice(PERIODS),
        "q": _text(filled, rng),
    }
    if tab is Tab.HISTORY:
        values["result"] = rng.choice(RESULTS)
        values["by"] = rng.choice(["automation", "nobody", str(rng.choice(filled.world.people).pk)])
    names = rng.sample(sorted(values), rng.choice([1, 2, 2, 3]))
    return tab, {name: values[name] for name in names}


def _text(filled: Filled, rng: random.Random) -> str:
    """A frequent word, a seldom one, one device."""
    return rng.choice(
        [rng.choice(WORDS), f"{rng.choice(WORDS)}_{rng.choice(WORDS)}", rng.choice(filled.world.devices).name]
    )
