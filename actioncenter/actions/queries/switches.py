"""What a person is shown of stops and of the runners that obey them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict

from django.utils import timezone

from actioncenter.actions.queries import runners, stopped
from actioncenter.actions.queries.viewer import Viewer
from actioncenter.settings.enums import Role, StopKind, StopScope, StopSource
from actioncenter.settings.models import Stop
from actioncenter.settings.models.stops import MAY_STOP, stop_file, stop_file_reason
from actioncenter.web.moments import iso, when
from investigations.models import Investigation

HISTORY: Final = 50
FROM: Final = {
    StopSource.PAGE: "",
    StopSource.COMMAND: ", by command",
    StopSource.FILE: ", by the stop file",
    StopSource.SYSTEM: ", by the product itself",
    StopSource.RESTORE: ", because the database was restored",
}


class StopShown(TypedDict):
    pk: int
    title: str
    is_pause: bool
    everything: bool
    restored: bool
    """Over a restored database: it is accepted on the health page, not resumed."""
    by: str
    source: str
    reason: str
    since: str
    since_iso: str
    until: str
    until_iso: str
    state: str
    quiet: bool
    queued: int
    acknowledged: int
    runners: int
    silent: tuple[str, ...]
    may_explain: bool
    may_resume: bool


class RunnerShown(TypedDict):
    name: str
    silent: bool
    seen: str
    seen_iso: str
    in_flight: int
    acknowledged: int
    unfit: str


@dataclass(frozen=True, slots=True)
class Board:
    """Everything about stops that stands on every page. `file` names a stop file that exists."""

    stops: tuple[StopShown, ...]
    silent: tuple[str, ...]
    heard: int
    """How many runners are."""
    unfit: int
    """How many of them begin nothing, because something isn't as they need it."""
    file: str
    file_reason: str
    may_stop: bool
    everything: bool
    """Whether all execution is stopped already."""


def board_for(viewer: Viewer) -> Board:
    beats = runners.known()
    stops = tuple(shown(stop, viewer, beats) for stop in in_sight(viewer))
    reason = stop_file_reason()
    everything = any(stop["everything"] and not stop["is_pause"] for stop in stops)
    return Board(
        stops=stops,
        silent=tuple(beat.name for beat in beats if beat.silent),
        heard=sum(not beat.silent for beat in beats),
        unfit=sum(bool(beat.unfit) for beat in beats if not beat.silent),
        file="" if reason is None else str(stop_file()),
        file_reason=reason or "",
        may_stop=bool(viewer.rights.roles & MAY_STOP),
        everything=everything or reason is not None,
    )


def in_sight(viewer: Viewer) -> list[Stop]:
    """What is in force and concerns something this person may know of, the widest first."""
    rows = Stop.objects.in_force().order_by("scope", "kind", "pk")
    return [stop for stop in rows if concerns(viewer, stop)] if viewer.scope.areas else []


def ended(viewer: Viewer) -> list[Stop]:
    """The last that are over."""
    rows = Stop.objects.filter(lifted_at__isnull=False).order_by("-lifted_at", "-pk")[:HISTORY]
    return [stop for stop in rows if concerns(viewer, stop)]


def concerns(viewer: Viewer, stop: Stop) -> bool:
    return sees(viewer, StopScope(stop.scope), stop.value)


def sees(viewer: Viewer, scope: StopScope, value: int | None) -> bool:
    """Whether the person may know of what a stop of this scope covers."""
    if scope == StopScope.GROUP:
        return viewer.scope.groups is None or value in viewer.scope.groups
    if scope == StopScope.INVESTIGATION:
        return Investigation.objects.for_user(viewer.user).filter(pk=value or 0).exists()
    return True


def shown(stop: Stop, viewer: Viewer, beats: list[runners.Runner]) -> StopShown:
    call = runners.roll_call(stop.pk, beats)
    return {
        "pk": stop.pk,
        "title": stop.title,
        "is_pause": stop.is_pause,
        "everything": stop.scope == StopScope.ALL,
        "restored": stop.source == StopSource.RESTORE,
        "by": stop.pulled_by_name,
        "source": FROM[StopSource(stop.source)],
        "reason": stop.reason,
        "since": clock(stop.pulled_at),
        "since_iso": iso(stop.pulled_at),
        "until": clock(stop.until),
        "until_iso": iso(stop.until),
        "state": _progress(stop),
        "quiet": stop.quiet_at is not None,
        "queued": stopped.waiting_in_queue(stop),
        "acknowledged": len(call.acknowledged),
        "runners": len(beats),
        "silent": call.silent,
        "may_explain": stop.pulled_by_ref == viewer.user.ref or Role.ADMIN in viewer.rights.roles,
        "may_resume": Role.ADMIN in viewer.rights.roles and viewer.user.ref not in stop.not_by,
    }


def runner_shown(beat: runners.Runner) -> RunnerShown:
    return {
        "name": beat.name,
        "silent": beat.silent,
        "seen": clock(beat.seen_at),
        "seen_iso": iso(beat.seen_at),
        "in_flight": beat.in_flight,
        "acknowledged": beat.acknowledged,
        "unfit": beat.unfit,
    }


def history_line(stop: Stop) -> dict[str, Any]:
    return {
        "what": f"{'Pause' if stop.kind == StopKind.PAUSE else 'Stop'} of {stop.what[:1].lower()}{stop.what[1:]}",
        "by": stop.pulled_by_name,
        "source": FROM[StopSource(stop.source)],
        "reason": stop.reason,
        "since": clock(stop.pulled_at),
        "since_iso": iso(stop.pulled_at),
        "ended": clock(stop.lifted_at),
        "ended_iso": iso(stop.lifted_at),
        "ended_by": stop.lifted_by_name,
    }


def _progress(stop: Stop) -> str:
    """`Pausing, 3 in flight` until nothing is, then `Paused 14:02:11, nothing in flight`."""
    if stop.quiet_at is not None:
        return f"{'Paused' if stop.is_pause else 'Stopped'} {clock(stop.quiet_at)}, nothing in flight"
    return f"{'Pausing' if stop.is_pause else 'Stopping'}, {stopped.in_flight(stop)} in flight"


def clock(moment: datetime | None) -> str:
    """To the second, because people compare it with what happened; with the day if it isn't today."""
    if moment is None:
        return ""
    local, today = timezone.localtime(moment), timezone.localtime()
    time = f"{local:%H:%M:%S}"
    return time if local.date() == today.date() else f"{when(moment).partition(',')[0]}, {time}"
