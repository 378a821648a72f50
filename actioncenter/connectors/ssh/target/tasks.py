"""Remove a scheduled task, a timer of systemd or an entry of cron or at, and bring it back exactly as it was."""

from __future__ import annotations

import os

from actioncenter.connectors.ssh.target import kept, services
from actioncenter.connectors.ssh.target.places import Json, Refusal

_OWN = ("/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly",
        "/var/spool/cron/atjobs", "/var/spool/at")  # fmt: skip
"""Folders with a file for each task, or for those of one program."""
_PEOPLE = ("/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron")
_COMMON = "/etc/crontab"


def why_not() -> str:
    somewhere = any(map(os.path.isdir, (*_OWN, *_PEOPLE))) or os.path.exists(_COMMON)
    return "" if somewhere or not services.why_not() else "This host has neither systemd nor cron."


def observe(item: Json, call: Json) -> Json:
    if _is_timer(item):
        return services.looked(services.unit_of(item, ".timer"))
    path, command = _place(item)
    found = kept.look(path)
    there = bool(_without(kept.content(found), command)[1]) if command else found is not None
    return {"path": path, "present": there, "sha256": kept.digest(found)}


def remove(item: Json, call: Json) -> Json:
    if _is_timer(item):
        return services.taken(item, call, services.unit_of(item, ".timer"), "timer removed")
    place = kept.name_of(item, call)
    known = kept.entry(place)
    if known is None:
        path, command = _place(item)
        found = kept.look(path)
        left, lines = _without(kept.content(found), command)
        if found is None or (command and not lines):
            return {"outcome": "gone", "after": {"path": path, "present": False}}
        if "link" in found:
            raise Refusal("symlink", "There is a link at the path, no file.")
        new = kept.text(left, found) if command else None
        known = {"path": path, "changes": {path: [found, new]}, "done": False}
        kept.record(place, known)
    kept.carry_out(known["changes"])
    kept.done(item, call, known, "task removed")
    before = {"kept": place, "path": known["path"], "sha256": kept.digest(known["changes"][known["path"]][0])}
    return {"outcome": "succeeded", "before": before, "after": {"path": known["path"], "present": False}}


def restore(item: Json, call: Json) -> Json:
    name, known = kept.recorded(item)
    if "unit" in known:
        return services.given_back(item, call, "timer restored")
    after = {"path": known["path"], "present": True}
    if not kept.undoing(name, known, call):
        return {"outcome": "already", "after": after}
    kept.carry_out(known["changes"], back=True)
    kept.undone(name, known, item, call, "task restored")
    return {"outcome": "succeeded", "after": after}


def _is_timer(item: Json) -> bool:
    name = str(item["facts"].get("name") or "")
    return name.endswith(".timer") and "/" not in name


def _place(item: Json) -> tuple[str, bytes]:
    """The file, and the command of the entry; without one the whole file is meant. Raises Refusal."""
    facts = item["facts"]
    named = [str(facts.get(name) or "") for name in ("name", "path")]
    path = next((each for each in named if _is_table(each)), "")
    if not path:
        raise Refusal("path", "That is no place of a task that this host knows.")
    command = os.fsencode(str(facts.get("command_line") or facts.get("command") or "").strip())
    folder = os.path.dirname(path)
    if folder in _OWN and folder != "/etc/cron.d":
        return path, b""
    if not command and folder not in _OWN:
        raise Refusal("no_command", "Others' tasks are in that file too, so the command has to be known.")
    return path, command


def _is_table(path: str) -> bool:
    folder, name = os.path.split(path)
    plain = bool(name) and name not in {".", ".."} and "\0" not in name
    return path == _COMMON or (plain and folder in (*_OWN, *_PEOPLE))


def _without(table: bytes, command: bytes) -> tuple[bytes, list[bytes]]:
    """What is left of it, and the lines of that command."""
    lines = table.splitlines(keepends=True)
    gone = [line for line in lines if command and _runs(line, command)]
    return b"".join(line for line in lines if line not in gone), gone


def _runs(line: bytes, command: bytes) -> bool:
    told = line.strip()
    at = len(told) - len(command)
    return not told.startswith(b"#") and told.endswith(command) and told[at - 1 : at].isspace()
