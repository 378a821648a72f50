"""Evidence packs: what the log tells of an action, an investigation or a time, to be read and checked elsewhere.

A zip of plain files that needs neither the product nor a network. The same events and seals give the same
bytes, whenever it is made.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.conf import settings
from django.contrib.staticfiles import finders
from django.db import transaction
from django.db.models import Max, Min, Q, QuerySet
from django.template.loader import render_to_string

from actioncenter.actions.models import Action
from actioncenter.audit import canonical, export, log, sealing, seals, signing, standalone_pack
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Purge, Redaction, Seal
from actioncenter.audit.purges import PurgeText
from actioncenter.audit.standalone_pack import CUT, FORMAT, REDACTED
from actioncenter.auditor import exporting
from investigations.models import Investigation

TOLD: Final = 5000
"""Events in the readable page; the files beside it have all."""
STYLE: Final = "css/pack.css"
_README: Final = """{title}

Made by the Action center from its audit log. {events} events, {seals} seals.

story.html      to be read, in any browser; nothing in it needs a network
story.jsonl     the same for programs: the fields of each event
events.jsonl    the events as they were written, one JSON object a line: id, chain value, canonical text
seals.jsonl     the signed seals that hold them
pack.json       what this is, and the public key of the installation that made it
verify.py       checks the rest: python3 verify.py --public-key KEY

Take the public key from somebody you trust, on another way than this file: without it a pack is only shown to fit
together, not who made it. format.md describes all of it, enough to write a verifier of your own.
{unsealed}"""
_UNSEALED: Final = """
{unsealed} of the events were in no seal when this was made. Nothing here vouches for these.
"""


class NothingThere(LookupError):
    """The log tells nothing of it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which events. Either streams, or a time from `since` until just before `until`."""

    title: str
    streams: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None

    def events(self) -> "QuerySet[Event]":
        chosen = Q(at__gte=self.since, at__lt=self.until) if self.since else Q(stream__in=self.streams)
        return Event.objects.filter(chosen).order_by("pk")


def of_action(number: int) -> Scope:
    """With what it took back, and what took it back."""
    family, found = {number}, 0
    while len(family) > found:
        found = len(family)
        rows = Action.objects.filter(Q(pk__in=family) | Q(undo_of__in=family))
        family |= {pk for pair in rows.values_list("pk", "undo_of") for pk in pair if pk}
    return Scope(f"Action A-{number}", [f"action:{pk}" for pk in sorted(family)])


def of_investigation(number: int) -> Scope:
    """With its actions. What the log still tells of one that went by retention can be had, too. Raises NothingThere."""
    own = f"investigation:{number}"
    if not (Investigation.objects.filter(pk=number).exists() or Event.objects.filter(stream=own).exists()):
        raise NothingThere(f"There is no investigation {number}.")
    rows = Action.objects.filter(investigation=number).order_by("pk").values_list("pk", flat=True)
    return Scope(f"Investigation {number}", [own, *(f"action:{pk}" for pk in rows)])


def of_period(since: datetime, until: datetime) -> Scope:
    """Everything, whatever it is about. Raises NothingThere while the time isn't over."""
    if until > sealing.Horizon.now().at:
        raise NothingThere("That time isn't over.")
    return Scope(f"From {since:%Y-%m-%d %H:%M:%S} to {until:%Y-%m-%d %H:%M:%S} UTC", since=since, until=until)


def write(path: Path, scope: Scope, *, by: Actor) -> dict[str, int]:
    """How many events and seals it has. Raises OSError, also when the file is there already, and NothingThere."""
    if not scope.events().exists():
        raise NothingThere(f"{scope.title}: the log tells nothing of it.")
    with exporting.anew(path) as descriptor, os.fdopen(descriptor, "wb", closefd=False) as file:
        with transaction.atomic():
            detail = {"file": path.name, "pack": scope.title}
            log.record(Kind.EXPORT_MADE, by=by, subject="audit", detail=detail)
        sealing.seal()
        with ZipFile(file, "w", ZIP_DEFLATED) as pack:
            counted = _fill(pack, scope)
        file.flush()
        os.fsync(descriptor)
    return counted


def _fill(pack: ZipFile, scope: Scope) -> dict[str, int]:
    sealed: set[int] = set()
    counted = {"events": _put(pack, "events.jsonl", _events(scope))}
    cuts = _cuts(scope)
    counted["seals"] = _put(pack, "seals.jsonl", _seals(scope, sealed, to_the_end=bool(cuts)))
    counted["unsealed"] = counted["events"] - len(sealed)
    # Read last: an event that was redacted meanwhile has its record here in any case.
    if records := list(_redactions(scope)):
        counted["redactions"] = _put(pack, "redactions.jsonl", records)
    if cuts:
        _put(pack, "purges.jsonl", map(export.purge_line, cuts))
    keys = {key: public.hex() for key, public in seals.by_id(signing.known()).items()}
    format_ = CUT if cuts else REDACTED if "redactions" in counted else FORMAT
    facts = {"format": format_, "title": scope.title, "whole_streams": bool(scope.streams), **counted}
    _put(pack, "pack.json", [json.dumps({**facts, "public_keys": keys}, indent=1)])
    _put(pack, "story.html", [_story(scope, counted)])
    _put(pack, "story.jsonl", _plainly(scope))
    _put(pack, "story.css", [Path(finders.find(STYLE) or "").read_text(encoding="utf-8")])
    _put(pack, "format.md", [(settings.BASE_DIR / "docs/audit/format.md").read_text(encoding="utf-8")])
    _put(pack, "verify.py", [Path(standalone_pack.__file__).read_text(encoding="utf-8")])
    unsealed = _UNSEALED.format(**counted) if counted["unsealed"] else ""
    _put(pack, "README.txt", [_README.format(title=scope.title, **{**counted, "unsealed": unsealed})])
    return counted


def _put(pack: ZipFile, name: str, lines: Any) -> int:
    """Without a time of its own; how many lines that were."""
    info = ZipInfo(name)
    info.compress_type, info.create_system, info.external_attr = ZIP_DEFLATED, 3, 0o644 << 16
    count = 0
    with pack.open(info, "w") as member:
        for line in lines:
            member.write(line.encode())
            count += 1
    return count


def _events(scope: Scope) -> Iterator[str]:
    for pk, chain, text in scope.events().values_list("pk", "chain", "canonical").iterator(chunk_size=500):
        yield export.event_line(pk, chain, text)


def _seals(scope: Scope, sealed: set[int], *, to_the_end: bool) -> Iterator[str]:
    """Those that hold any of the events, whose ids are added to `sealed`, and handovers of the key before them, or all."""
    ids = frozenset(scope.events().values_list("pk", flat=True))
    ends = scope.events().order_by().aggregate(first=Min("pk"), last=Max("pk"))
    around = Q(first_event__lte=ends["last"], last_event__gte=ends["first"])
    handovers: list[Seal] = []
    for seal in Seal.objects.filter(around | Q(last_event=0)).order_by("number").iterator(chunk_size=50):
        said = seals.SealText.read(seal.text)
        if said.successor:
            handovers.append(seal)
        elif found := ids.intersection(said.ids):
            sealed |= found
            yield from map(export.seal_line, [*handovers, seal])
            handovers.clear()
    if to_the_end or Redaction.objects.filter(event__in=ids).exists():
        # Their records, or those of purges, may be signed with a key that came later.
        yield from map(export.seal_line, handovers)


def _cuts(scope: Scope) -> list[Purge]:
    """What says that streams lost their beginning by rule: for each the first purge that left it as it is."""
    first = scope.events().order_by().values("stream").annotate(first=Min("seq")).filter(first__gt=1)
    missing = dict(first.values_list("stream", "first")) if scope.streams else {}
    found: list[Purge] = []
    for row in Purge.objects.order_by("number").iterator(chunk_size=50) if missing else ():
        heads = PurgeText.read(row.text).heads
        if told := [each for each, seq in missing.items() if heads.get(each, (0, ""))[0] == seq - 1]:
            found.append(row)
            for each in told:
                del missing[each]
    return found


def _redactions(scope: Scope) -> Iterator[str]:
    rows = Redaction.objects.filter(event__in=scope.events().values("pk"))
    yield from map(export.redaction_line, rows.order_by("number").iterator(chunk_size=500))


def _plainly(scope: Scope) -> Iterator[str]:
    for pk, text in scope.events().values_list("pk", "canonical").iterator(chunk_size=500):
        said = canonical.read(text)
        yield export.line({**said, "id": pk, "at": said["at"].isoformat()})


def _story(scope: Scope, counted: dict[str, int]) -> str:
    texts = scope.events().values_list("pk", "canonical")[:TOLD]
    told = [_told(pk, canonical.read(text)) for pk, text in texts]
    return render_to_string(
        "auditor/pack.html",
        {"title": scope.title, "told": told, "left_out": counted["events"] - len(told), **counted},
    )


def _told(pk: int, said: dict[str, Any]) -> dict[str, Any]:
    parts = [(name, said[name]) for name in ("before", "after", "detail") if said[name]]
    return {
        **said,
        "id": pk,
        "what": said["kind"].replace(".", " ").replace("_", " "),
        "facts": [
            (name, json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1)) for name, value in parts
        ],
    }
