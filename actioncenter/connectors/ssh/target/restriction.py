"""Nothing starts any more from where people may write: the mode `noexec`. Interpreters aren't stopped by it.

What was changed is written down before it is, so that undo removes that and nothing else, however far it came.
"""

from __future__ import annotations

import os

from actioncenter.connectors.ssh.target import booting, inside, journal, mounts
from actioncenter.connectors.ssh.target.places import RESTRICTION, Json, Refusal, forget, read, write

MODE = "noexec"
PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/home")  # noqa: S108


def observe(item: Json, call: Json) -> Json:
    """`open` are the places from which something may be started."""
    found = {place: mounts.top(place) for place in places()}
    left = sorted(place for place, mount in found.items() if mount is None or not mount.noexec)
    return {"restriction": "none" if left else MODE, "open": left}


def restrict(item: Json, call: Json) -> Json:
    known = read(RESTRICTION) or {}
    if known.get("boot") != booting.boot_id():
        known = {}
    if known.get("id") != call["id"]:
        if observe(item, call)["restriction"] == MODE:
            return {"outcome": "already", "after": {"restriction": MODE}}
        # What an earlier one did and somebody took back in part is done again, and all of it is undone together.
        known = {"id": call["id"], "boot": booting.boot_id(), "mode": MODE, "done": False,
                 "places": [*known.get("places", []), *_plan()]}  # fmt: skip
        write(RESTRICTION, known)
    for each in known["places"]:
        _close(each)
    write(RESTRICTION, known)
    if not known["done"]:
        write(RESTRICTION, {**known, "done": True})
        journal.acted(call["id"], item["key"], "restricted: " + MODE)
    after = observe(item, call)
    before = {"id": call["id"], "places": [each["place"] for each in known["places"]]}
    if after["open"]:
        error = "still_open: Programs may still be started from " + ", ".join(after["open"])[:300]
        return {"outcome": "failed", "before": before, "after": after, "error": error}
    covered = [each["place"] for each in known["places"] if each["how"] == "cover"]
    return {"outcome": "succeeded", "before": before, "after": {**after, **inside.told(covered)}}


def release(item: Json, call: Json) -> Json:
    known = read(RESTRICTION) or {}
    if not known or known.get("boot") != booting.boot_id():
        forget(RESTRICTION)
        return _nothing_of_ours(item, call)
    if known.get("releasing") != call["id"]:
        wanted = item["before"].get("id")
        if wanted and wanted != known["id"]:
            raise Refusal("conflict", "It was restricted anew since, by another action.")
        known = {**known, "releasing": call["id"]}
        write(RESTRICTION, known)
    for each in reversed(known["places"]):
        _open(each)
    forget(RESTRICTION)
    journal.acted(call["id"], item["key"], "execution released")
    return {"outcome": "succeeded", "after": observe(item, call)}


def _nothing_of_ours(item: Json, call: Json) -> Json:
    """Whatever forbids it now was there before us, or is gone with a reboot."""
    return {"outcome": "already", "after": observe(item, call)}


def why_not() -> str:
    return mounts.why_not()


def active() -> bool:
    known = read(RESTRICTION) or {}
    return bool(known) and known.get("boot") == booting.boot_id()


def _plan() -> list[Json]:
    """How each place is closed, and what is mounted there now, by which the change is known again."""
    todo = []
    # What lies below another goes first: its copy in what covers that has the flag then, and so has itself.
    for place in reversed(places()):
        mount = mounts.top(place)
        if mount is None:
            todo.append({"place": place, "how": "cover", "number": 0})
        elif not mount.noexec:
            todo.append({"place": place, "how": "flag", "number": mount.number})
    return todo


def places() -> list[str]:
    """Where people may write on every system, and each mount that isn't root's alone."""
    found = {place for place in PLACES if os.path.isdir(place) and not os.path.islink(place)}
    for mount in mounts.all_of():
        if mount.place != "/" and mounts.holds_programs(mount) and _is_open(mount.place):
            found.add(mount.place)
    return sorted(found)


def _is_open(place: str) -> bool:
    try:
        told = os.stat(place)
    except OSError:
        return False
    return os.path.isdir(place) and (told.st_uid != 0 or bool(told.st_mode & 0o002))


def _close(each: Json) -> None:
    mount = mounts.top(each["place"])
    if each["how"] == "flag":
        if mount is not None and mount.number == each["number"]:
            mounts.forbid(each["place"])
        return
    if mount is None:
        mounts.cover(each["place"])
        mount = mounts.top(each["place"])
    # Also where an earlier call for this request ended right after it had covered it.
    if mount is not None and mount.noexec:
        each.setdefault("number_of_cover", mount.number)
        each.setdefault("below", mounts.below(each["place"]))


def _open(each: Json) -> None:
    """Only what is as we left it: another mount there is somebody else's."""
    mount = mounts.top(each["place"])
    if mount is None:
        return
    if each["how"] == "flag":
        if mount.number == each["number"]:
            mounts.permit(each["place"])
    elif mount.number == each.get("number_of_cover", mount.number) and mount.noexec:
        # What somebody mounted on it since would go with it, so then the cover stays, without its flag.
        same = mounts.below(each["place"]) == each.get("below", [])
        (mounts.uncover if same else mounts.permit)(each["place"])
