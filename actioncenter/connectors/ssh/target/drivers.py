"""Disable a kernel module: unload it, and have nothing load it again."""

from __future__ import annotations

import glob
import os
import re
import subprocess
from typing import Iterable, Set

from actioncenter.connectors.ssh.target import kept, processes
from actioncenter.connectors.ssh.target.places import Json, Refusal

LOADED = "/proc/modules"
MODPROBE = "/usr/sbin/modprobe"
MODINFO = "/usr/sbin/modinfo"
RULES = "/etc/modprobe.d"
SECONDS = 20
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_OURS = ("nf_tables", "nfnetlink", "overlay", "ext4", "xfs", "btrfs")


def why_not() -> str:
    if not os.path.exists(LOADED):
        return "Its kernel loads no modules."
    return "" if os.path.exists(MODPROBE) else "kmod isn't installed."


def observe(item: Json, call: Json) -> Json:
    name = _module(item)
    rule = kept.look(_rule(name))
    return {"module": name, "loaded": _users(name) is not None, "blocked": kept.content(rule) == _text(name)}


def disable(item: Json, call: Json) -> Json:
    _able()
    place = kept.name_of(item, call)
    known = kept.entry(place)
    if known is None:
        name = _module(item)
        state = observe(item, call)
        if state["blocked"] and not state["loaded"]:
            return {"outcome": "already", "after": state}
        _is_judged(name, item["facts"])
        _may(name)
        path = _rule(name)
        changes = {path: [kept.look(path), kept.text(_text(name))]}
        known = {"module": name, "loaded": state["loaded"], "changes": changes, "done": False}
        kept.record(place, known)
    kept.carry_out(known["changes"])
    said = _modprobe("-r", "--", known["module"]) if _users(known["module"]) is not None else ""
    if _users(known["module"]) is not None:
        kept.carry_out(known["changes"], back=True)
        raise Refusal("in_use", f"It can't be unloaded: {said or 'it is in use'}")
    kept.done(item, call, known, "kernel module disabled")
    before = {"kept": place, "module": known["module"], "loaded": known["loaded"]}
    return {"outcome": "succeeded", "before": before, "after": observe(item, call)}


def enable(item: Json, call: Json) -> Json:
    _able()
    name, known = kept.recorded(item)
    module = known["module"]
    if not kept.undoing(name, known, call):
        return {"outcome": "already", "after": {"module": module, "blocked": False}}
    kept.carry_out(known["changes"], back=True)
    said = _modprobe("--", module) if known["loaded"] and _users(module) is None else ""
    kept.undone(name, known, item, call, "kernel module enabled")
    after = {"module": module, "loaded": _users(module) is not None, "blocked": False}
    if known["loaded"] and not after["loaded"]:
        return {"outcome": "failed", "after": after, "error": f"not_loaded: It doesn't load any more: {said}"}
    return {"outcome": "succeeded", "after": after}


def _module(item: Json) -> str:
    """As the kernel names it. Raises Refusal."""
    facts = item["facts"]
    name = os.path.basename(str(facts.get("name") or facts.get("path") or ""))
    name = re.sub(r"\.ko(\.(xz|zst|gz))?$", "", name)
    if not _NAME.fullmatch(name):
        raise Refusal("name", "That is no name of a kernel module.")
    return name.replace("-", "_")


def _rule(name: str) -> str:
    return f"{RULES}/actioncenter-{name}.conf"


def _text(name: str) -> bytes:
    """A blacklist alone stops aliases only; the second line also stops who asks for it by name."""
    return f"# Disabled by Action center.\nblacklist {name}\ninstall {name} /bin/false\n".encode()


def _users(name: str) -> int | None:
    """How many use it; None where it isn't loaded."""
    try:
        with open(LOADED, encoding="utf-8", errors="replace") as file:
            found = [line.split() for line in file]
    except FileNotFoundError:
        return None
    return next((int(words[2]) for words in found if words[0] == name), None)


def _is_judged(name: str, facts: Json) -> None:
    """Raises Refusal where another file than the judged one has that name: names are chosen by whoever writes files."""
    path, hashed = str(facts.get("path") or ""), facts.get("sha256") or facts.get("sha1")
    if not hashed and "/" not in path:
        return
    place = _said(MODINFO, "-n", name).strip()
    if "/" in path and os.path.realpath(path) != os.path.realpath(place):
        raise Refusal(
            "other_file", f"The kernel takes {name} from {place or 'no file'}, not from the judged one."
        )
    if not hashed:
        return
    try:
        handle = os.open(os.path.realpath(place), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise Refusal("other_file", f"The file of {name} can't be read there.") from error
    try:
        same = processes.matches(processes.hashes(handle), facts)
    finally:
        os.close(handle)
    if not same:
        raise Refusal("other_file", f"The file of {name} there has another content than the judged one.")


def _may(name: str) -> None:
    """Raises Refusal for what the host is reached by or stands on, which nothing counts as a user."""
    if name in _OURS or name in _under(("/sys/class/net/*", "/sys/block/*")) or _makes_interfaces(name):
        raise Refusal("protected", "This host is reached through it, or stands on it.")
    users = _users(name)
    if users:
        raise Refusal("in_use", f"{users} others use it.")


def _under(patterns: Iterable[str]) -> Set[str]:
    """Modules of the drivers of these devices and of all that they hang on, up to the bus."""
    found = set()
    for pattern in patterns:
        for each in glob.glob(pattern):
            place = os.path.realpath(each)
            while place.startswith("/sys/devices/"):
                module = f"{place}/driver/module"
                if os.path.exists(module):
                    found.add(os.path.basename(os.path.realpath(module)))
                place = os.path.dirname(place)
    return found


def _makes_interfaces(name: str) -> bool:
    """Whether an interface of its kind is there, which has no device that would lead to it."""
    names = {os.path.basename(each) for each in glob.glob("/sys/class/net/*")}
    return {
        "bonding": os.path.exists("/sys/class/net/bonding_masters")
        and len(glob.glob("/sys/class/net/*/bonding")) > 0,
        "bridge": len(glob.glob("/sys/class/net/*/bridge")) > 0,
        "8021q": bool(os.path.isdir("/proc/net/vlan") and set(os.listdir("/proc/net/vlan")) - {"config"}),
        "tun": len(glob.glob("/sys/class/net/*/tun_flags")) > 0,
        "wireguard": any(each.startswith("wg") for each in names),
    }.get(name, False)


def _said(*words: str) -> str:
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _able() -> None:
    if why_not():
        raise Refusal("no_modules", why_not())


def _modprobe(*words: str) -> str:
    """What it said against it."""
    try:
        done = subprocess.run(
            [MODPROBE, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    return done.stderr.strip()[:200]
