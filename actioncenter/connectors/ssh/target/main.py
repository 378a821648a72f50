"""One call: read a request, do or see what it asks for on this host, answer once."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from typing import Any, Callable, Mapping

from actioncenter.connectors.ssh.target import (
    booting,
    containment,
    drivers,
    foreseeing,
    isolation,
    jobs,
    journal,
    killing,
    offboarding,
    package,
    quarantine,
    restriction,
    rules,
    sample,
    scan,
    services,
    streams,
    tasks,
)
from actioncenter.connectors.ssh.target.places import Json, Refusal, alone, prepare

MOST_BYTES = 4 << 20
MOST_SECONDS = 300
UNFINISHED = ("running", "unknown")
"""What is no result, so the journal keeps nothing of it."""

Verb = Callable[[Json, Json], Json]
VERBS: Mapping[str, tuple[Verb, Verb]] = {
    "isolate": (isolation.observe, isolation.isolate),
    "release_device": (isolation.observe, isolation.release),
    "quarantine_file": (quarantine.observe, quarantine.quarantine),
    "release_file": (quarantine.observe, quarantine.release),
    "kill": (killing.observe, killing.kill),
    "restrict": (restriction.observe, restriction.restrict),
    "release_execution": (restriction.observe, restriction.release),
    "contain": (containment.observe, containment.contain),
    "release_containment": (containment.observe, containment.release),
    "offboard": (offboarding.observe, offboarding.offboard),
    "stop_service": (services.observe, services.stop),
    "start_service": (services.observe, services.start),
    "remove_task": (tasks.observe, tasks.remove),
    "restore_task": (tasks.observe, tasks.restore),
    "disable_driver": (drivers.observe, drivers.disable),
    "enable_driver": (drivers.observe, drivers.enable),
    "sample": (sample.observe, sample.take),
    "collect_package": (package.observe, package.begin),
    "scan": (scan.observe, scan.begin),
}
"""How it looks and what it does, by the code of its type."""
SEND: Mapping[str, Callable[[Json, Json, Json], None]] = {
    "sample": sample.send,
    "collect_package": package.send,
}
WHY_NOT: Mapping[str, Callable[[], str]] = {
    "isolate": rules.why_not,
    "release_device": rules.why_not,
    "restrict": restriction.why_not,
    "release_execution": restriction.why_not,
    "contain": containment.why_not,
    "release_containment": containment.why_not,
    "stop_service": services.why_not,
    "start_service": services.why_not,
    "remove_task": tasks.why_not,
    "restore_task": tasks.why_not,
    "disable_driver": drivers.why_not,
    "enable_driver": drivers.why_not,
    "scan": scan.why_not,
}
"""What a host may lack for it."""


def main() -> int:
    os.umask(0o077)
    if sys.argv[1:] == [booting.WORD]:
        return _booted()
    raw = sys.stdin.buffer.read(MOST_BYTES + 1)
    try:
        call = json.loads(raw)
        # Whatever hangs ends here, so that no helper holds the lock for ever.
        signal.alarm(max(1, min(int(call["seconds"]), MOST_SECONDS)))
        head = {"id": call["id"], "nonce": call["nonce"]}
        if call["call"] == "fetch":
            return _fetch(call, head)
        answer = {**head, **_serve(call)}
    except (ValueError, KeyError, TypeError) as error:
        answer = {"error": {"code": "request", "text": f"The request can't be read: {type(error).__name__}"}}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    return 0


def _booted() -> int:
    """Asked by this host's own systemd, before it has a network."""
    prepare()
    with alone():
        isolation.boot()
    return 0


def _serve(call: Json) -> Json:
    digest = own_digest()
    if digest != call["helper"]:
        return {
            "error": {"code": "helper", "text": "The helper on this host is another than the controller's."}
        }
    prepare()
    answer: Json = {"helper": digest}
    try:
        answer[call["call"]] = CALLS[call["call"]](call)
    except Refusal as refusal:
        answer["error"] = {"code": refusal.code, "text": str(refusal)}
    return answer


def own_digest() -> str:
    with open(sys.argv[0], "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _can(call: Json) -> Json:
    """Why not, by verb; empty texts are good."""
    said = {look: look() for look in set(WHY_NOT.values())}
    return {
        "verbs": {verb: said[WHY_NOT[verb]] if verb in WHY_NOT else "" for verb in VERBS},
        "host": {"name": os.uname().nodename, "kernel": os.uname().release, "python": sys.version.split()[0]},
    }


def _observe(call: Json) -> list[Json]:
    """How it is now, and of which targets this very request has a result already."""
    known = journal.known(call["id"])
    return [{**_looked(item, call), "known": item["key"] in known} for item in call["items"]]


def _looked(item: Json, call: Json) -> Json:
    try:
        state = VERBS[item["verb"]][0](item, call)
        # Only where somebody is to decide: it changes from one moment to the next.
        stops = {"stops": foreseeing.stops(item, call)} if call.get("foresee") else {}
        return {"key": item["key"], "state": {**state, **stops}}
    except Refusal as refusal:
        return {"key": item["key"], "error": f"{refusal.code}: {refusal}"}
    except OSError as error:
        return {"key": item["key"], "error": f"system: {os.strerror(error.errno or 0)}"}


def _apply(call: Json) -> list[Json]:
    with alone():
        journal.tidy()
        jobs.tidy()
        return [_done(item, call, VERBS[item["verb"]][1]) for item in call["items"]]


def _done(item: Json, call: Json, act: Verb) -> Json:
    known = journal.known(call["id"])
    if item["key"] in known:
        return dict(known[item["key"]])
    try:
        result = act(item, call)
    except Refusal as refusal:
        result = {"outcome": "failed", "error": f"{refusal.code}: {refusal}"}
    except OSError as error:
        result = {"outcome": "failed", "error": f"system: {os.strerror(error.errno or 0)}"}
    if result["outcome"] in UNFINISHED:
        return result
    result = {"key": item["key"], "before": {}, "after": {}, "error": "", **result}
    journal.keep(call["id"], item["key"], result)
    return result


def _lookup(call: Json) -> list[Any]:
    """Under the lock, so that a call that still runs is waited for."""
    with alone():
        known = journal.known(call["id"])
    return [known[item["key"]] for item in call["items"] if item["key"] in known]


def _poll(call: Json) -> list[Json]:
    """How far jobs are. One that ended without a word has failed, and that is written down."""
    with alone():
        return [_done(item, call, jobs.look) for item in call["items"]]


def _cancel(call: Json) -> list[str]:
    with alone():
        return [item["key"] for item in call["items"] if jobs.cancel(item, call)]


def _fetch(call: Json, head: Json) -> int:
    """Send what the journal says was made or looked at for this request. Nothing here changes anything."""
    digest = own_digest()
    head = {**head, "helper": digest}
    (item,) = call["items"]
    try:
        if digest != call["helper"]:
            raise Refusal("helper", "The helper on this host is another than the controller's.")
        told = journal.known(call["id"]).get(item["key"], {})
        if told.get("outcome") != "succeeded":
            raise Refusal("nothing", "There is nothing to send.")
        SEND[item["verb"]](item, told["after"], head)
    except (Refusal, OSError) as error:
        code = error.code if isinstance(error, Refusal) else "system"
        streams.note({**head, "error": {"code": code, "text": str(error)}})
    sys.stdout.buffer.flush()
    return 0


def _confirm(call: Json) -> Json:
    with alone():
        return isolation.confirm(call)


CALLS: Mapping[str, Callable[[Json], Any]] = {
    "can": _can,
    "observe": _observe,
    "apply": _apply,
    "lookup": _lookup,
    "confirm": _confirm,
    "poll": _poll,
    "cancel": _cancel,
}

if __name__ == "__main__":
    sys.exit(main())
