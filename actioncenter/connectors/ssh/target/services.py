"""Stop a service of systemd so that nothing starts it again, and bring it back exactly as it was."""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import Mapping

from actioncenter.connectors.ssh.target import kept
from actioncenter.connectors.ssh.target.places import Json, Refusal

SYSTEMCTL = "/usr/bin/systemctl"
UNITS = "/etc/systemd/system"
RUNNING = ("active", "activating", "reloading", "deactivating", "refreshing")
PATIENCE = 5.0
SECONDS = 20
_NAME = re.compile(r"[A-Za-z0-9:_@\\][A-Za-z0-9:_.@\\-]{0,200}")
_SHOWN = "--property=Id,LoadState,ActiveState,ExecStart"
_LINKED = (".wants", ".requires", ".upholds")
_OURS = re.compile(
    r"(ssh|sshd|sshd?@.*|ssh[-.].*|dbus|dbus-broker|systemd-.*|actioncenter.*)\.(service|timer)"
)
"""What our own connection, or the one who carries this out, hangs on."""


def why_not() -> str:
    return "" if os.path.isdir("/run/systemd/system") else "This host isn't run by systemd."


def observe(item: Json, call: Json) -> Json:
    return looked(unit_of(item, ".service"))


def stop(item: Json, call: Json) -> Json:
    return taken(item, call, unit_of(item, ".service"), "stopped and disabled")


def start(item: Json, call: Json) -> Json:
    return given_back(item, call, "started again")


def unit_of(item: Json, kind: str) -> str:
    """Its full name. Raises Refusal for what can't be the name of such a unit."""
    name = str(item["facts"].get("name") or "")
    name = name if name.endswith(kind) else name + kind
    if not _NAME.fullmatch(name):
        raise Refusal("name", f"That is no name of a {kind[1:]}.")
    return name


def looked(name: str) -> Json:
    shown = show(name)
    unit = shown["Id"]
    told = _told(_files(unit))
    return {"unit": unit, "load": shown["LoadState"], "active": shown["ActiveState"], "files": told}


def _told(files: Mapping[str, kept.Entry]) -> dict[str, str]:
    """Where each leads, or what it holds."""
    return {path: entry.get("link") or kept.digest(entry) for path, entry in files.items() if entry}


def show(name: str) -> dict[str, str]:
    lines = systemctl("show", _SHOWN, "--", name).splitlines()
    return dict(line.partition("=")[::2] for line in lines if "=" in line)


def taken(item: Json, call: Json, name: str, deed: str) -> Json:
    """Its unit file and every link that starts it are kept, and a mask takes their place; then it is stopped."""
    _managed()
    place = kept.name_of(item, call)
    known = kept.entry(place)
    if known is None:
        shown = show(name)
        unit, running = shown["Id"], shown["ActiveState"] in RUNNING
        if shown["LoadState"] == "not-found" and not running:
            return {"outcome": "gone", "after": {"unit": unit, "load": "not-found"}}
        if shown["LoadState"] == "masked" and not running:
            return {"outcome": "already", "after": {"unit": unit, "load": "masked"}}
        _may(item, unit, shown)
        mask = f"{UNITS}/{unit}"
        changes = {path: [entry, None] for path, entry in _files(unit).items()}
        changes[mask] = [kept.look(mask), kept.link("/dev/null")]
        known = {"unit": unit, "running": running, "changes": changes, "done": False}
        kept.record(place, known)
    kept.carry_out(known["changes"])
    systemctl("daemon-reload")
    after = _stopped(known["unit"])
    kept.done(item, call, known, deed)
    files = _told({path: old for path, (old, _) in known["changes"].items()})
    before = {"kept": place, "unit": known["unit"], "running": known["running"], "files": files}
    if after["active"] in RUNNING:
        error = "still_running: It can't be started again, but it doesn't end."
        return {"outcome": "failed", "before": before, "after": after, "error": error}
    return {"outcome": "succeeded", "before": before, "after": after}


def _may(item: Json, unit: str, shown: dict[str, str]) -> None:
    with open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
        above = file.read().replace("\n", "/").split("/")
    if _OURS.fullmatch(unit) or unit in above:
        raise Refusal("protected", "The connection to this host hangs on it.")
    image = str(item["facts"].get("path") or "")
    if image.startswith("/") and shown.get("ExecStart") and image not in shown["ExecStart"]:
        raise Refusal("another_program", "It runs another program than the one that was judged.")


def _stopped(unit: str) -> Json:
    """By now it is masked, so its own commands for stopping aren't run, and nothing starts it meanwhile."""
    systemctl("stop", "--no-block", "--", unit)
    if not _ended(unit):
        systemctl("kill", "--signal=KILL", "--", unit, checked=False)
        _ended(unit)
    systemctl("reset-failed", "--", unit, checked=False)
    return looked(unit)


def _ended(unit: str) -> bool:
    end = time.monotonic() + PATIENCE
    while show(unit)["ActiveState"] in RUNNING:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def given_back(item: Json, call: Json, deed: str) -> Json:
    _managed()
    name, known = kept.recorded(item)
    unit = known["unit"]
    if not kept.undoing(name, known, call):
        return {"outcome": "already", "after": looked(unit)}
    kept.carry_out(known["changes"], back=True)
    systemctl("daemon-reload")
    if known["running"]:
        systemctl("start", "--", unit, checked=False)
    after = looked(unit)
    kept.undone(name, known, item, call, deed)
    if known["running"] and after["active"] not in RUNNING:
        error = "not_started: Its files are as they were, but it doesn't start."
        return {"outcome": "failed", "after": after, "error": error}
    return {"outcome": "succeeded", "after": after}


def _files(unit: str) -> dict[str, kept.Entry]:
    """Everything under that name that an admin or a program put there: the file, links that start it, further names."""
    found = {}
    for folder in [UNITS, *_folders()]:
        for each in os.scandir(folder):
            if each.name == unit or (each.is_symlink() and _leads_to(each.path, unit)):
                found[each.path] = kept.look(each.path)
    return {path: found[path] for path in sorted(found)}


def _folders() -> list[str]:
    with os.scandir(UNITS) as entries:
        return sorted(each.path for each in entries if each.name.endswith(_LINKED) and each.is_dir())


def _leads_to(path: str, unit: str) -> bool:
    return os.path.basename(os.readlink(path)) == unit


def _managed() -> None:
    if why_not():
        raise Refusal("no_systemd", why_not())


def systemctl(*words: str, checked: bool = True) -> str:
    """Raises Refusal with what it said."""
    try:
        done = subprocess.run(
            [SYSTEMCTL, "--no-pager", "--no-ask-password", *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False,
        )  # fmt: skip
    except OSError:
        raise Refusal("no_systemd", "This host isn't run by systemd.") from None
    except subprocess.TimeoutExpired:
        raise Refusal("systemd", "systemd did not answer.") from None
    if checked and done.returncode:
        raise Refusal("systemd", "systemd refused: " + done.stderr.strip()[:300])
    return done.stdout
