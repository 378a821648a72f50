"""Isolate a host and let it go again. It can't lock its controller out: who isolates has to confirm over a new
connection, else a watcher takes everything back."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import subprocess
import sys
import time
from typing import Any

from actioncenter.connectors.ssh.target import booting, journal, rules, standing
from actioncenter.connectors.ssh.target.places import ISOLATION, RUN, Json, Refusal, forget, read, write


def observe(item: Json, call: Json) -> Json:
    """`uncovered` are interfaces that came since: what is in the rules for the others doesn't hold there."""
    live, known = standing.now(), read(ISOLATION) or {}
    return {
        "isolation": _mode(live, known),
        "ruleset": live.digest,
        "uncovered": list(live.uncovered),
        "note": booting.note(),
    }


def _mode(live: standing.Standing, known: Json) -> str:
    if not live.digest:
        return "none"
    if not known.get("confirmed") or not live.is_of(known):
        return "changed"
    return str(known.get("mode", "unknown")) if live.is_whole(known) else "partial"


def isolate(item: Json, call: Json) -> Json:
    mode = "selective" if item["parameters"].get("isolation") == "selective" else "full"
    live, known = standing.now(), read(ISOLATION) or {}
    found = _found(item, call, mode, live, known) if live.digest else None
    if found:
        return found
    trusted = rules.networks(call["controllers"])
    address, port = caller()
    if not any(address in each for each in trusted):
        raise Refusal("lockout", "The controller's own address isn't among those that stay allowed.")
    allowed = rules.networks(call["allowed"]) if mode == "selective" else []
    ruleset = rules.text(trusted, allowed, port)
    rules.load(ruleset, only_check=True)
    wanted = {"trusted": call["controllers"], "allowed": call["allowed"], "port": port}
    known = {
        "id": call["id"],
        "mode": mode,
        "digest": "",
        "confirmed": False,
        "boot": booting.boot_id(),
        **wanted,
    }
    write(ISOLATION, known)
    arm(call["id"], float(call["rollback_after"]))
    rules.load(ruleset)
    known = {**known, **standing.now().kept()}
    write(ISOLATION, known)
    journal.acted(call["id"], item["key"], "isolated " + mode)
    _cut([*trusted], [*allowed], port)
    return _isolated(known)


def _found(item: Json, call: Json, mode: str, live: standing.Standing, known: Json) -> Json | None:
    """What to answer where it is isolated; None where ours no longer holds at every interface and is laid anew."""
    if known.get("id") == call["id"] and not known.get("digest"):
        # Ended between the rules and writing down that they are there.
        known.update(live.kept())
        write(ISOLATION, known)
        journal.acted(call["id"], item["key"], "isolated " + mode)
        return _isolated(known)
    if not live.is_of(known) or mode != known.get("mode"):
        raise Refusal("conflict", "It is isolated in another way already.")
    if known.get("id") == call["id"]:
        return _isolated(known)
    if known.get("confirmed") and not live.is_whole(known):
        return None
    return {"outcome": "already", "after": {"isolation": mode}}


def _isolated(known: Json) -> Json:
    before = {name: known[name] for name in ("id", "digest", "parts") if name in known}
    return {"outcome": "succeeded", "before": before, "after": {"isolation": known["mode"]}}


def release(item: Json, call: Json) -> Json:
    """Whatever was there beside our tables isn't touched, so the ruleset is as before to the byte."""
    live, known = standing.now(), read(ISOLATION) or {}
    # A reboot may have brought the same isolation back with other interfaces.
    same = item["before"].get("id") in (None, known.get("id"))
    if not live.digest:
        booting.drop()
        forget(ISOLATION)
        return {"outcome": "already", "after": {"isolation": "none"}}
    if not live.is_of(known if same else item["before"]):
        raise Refusal("conflict", "Its rules are no longer those that isolated it. Somebody has to look.")
    booting.drop()
    rules.load("\n".join(rules.removal()) + "\n")
    forget(ISOLATION)
    forget(_token(str(known.get("id"))))
    journal.acted(call["id"], item["key"], "released from isolation")
    return {"outcome": "succeeded", "after": {"isolation": "none"}}


def boot() -> None:
    """The machine began anew: what was in force is in force again, and what nobody had confirmed is not."""
    known = read(ISOLATION) or {}
    if not known or known.get("boot") == booting.boot_id() or standing.now().digest:
        return
    if not known["confirmed"]:
        forget(ISOLATION)
        return
    allowed = rules.networks(known["allowed"]) if known["mode"] == "selective" else []
    rules.load(rules.text(rules.networks(known["trusted"]), allowed, known["port"]))
    write(ISOLATION, {**known, **standing.now().kept(), "boot": booting.boot_id()})
    journal.acted(known["id"], "", "isolated again after a reboot")


def caller() -> tuple[Any, int]:
    """Who is connected, as this host sees it, and the port of its sshd."""
    try:
        client, _, _, port = os.environ["SSH_CONNECTION"].split()
        return ipaddress.ip_address(client.partition("%")[0]), int(port)
    except (KeyError, ValueError):
        raise Refusal("lockout", "It can't be seen from where the controller is connected.") from None


def _cut(trusted: list[Any], allowed: list[Any], port: int) -> None:
    """The rules silence what was connected; this also ends it here, our own connection aside. Best effort."""
    spared = ["!", "dst", "127.0.0.0/8", "and", "!", "dst", "[::1]"]
    for network in trusted:
        spared += ["and", "!", "(", "sport", "=", f":{port}", "and", "dst", _named(network), ")"]
    for network in allowed:
        spared += ["and", "!", "dst", _named(network)]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            ["ss", "-H", "-K", "-t", *spared], capture_output=True, timeout=rules.SECONDS, check=False
        )


def _named(network: Any) -> str:
    return f"[{network}]" if network.version == 6 else str(network)


# The watcher: without a confirmation everything is taken back


def _token(request: str) -> str:
    """While it lies there the watcher will strike. Whoever moves it away first decides."""
    return f"{RUN}/armed-{request}"


def arm(request: str, seconds: float) -> None:
    """Start the watcher and wait until it runs; raises Refusal where it can't."""
    with open(_token(request), "w"):
        pass
    heard, says = os.pipe()
    if os.fork() == 0:
        _detached(request, seconds, says)
    os.close(says)
    ready = os.read(heard, 1)
    os.close(heard)
    os.wait()
    if not ready:
        forget(_token(request))
        raise Refusal("no_watcher", "The watcher that would take it back didn't start.")


def _detached(request: str, seconds: float, says: int) -> None:
    """Outlives the session: a process group of its own, and nothing of the connection held open."""
    try:
        os.setsid()
        if os.fork() == 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            for handle in (0, 1, 2):
                os.dup2(nothing, handle)
            signal.alarm(0)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.write(says, b"!")
            # The lock of this call is among what is still open: held on, it would keep out the confirmation.
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            _watch(request, seconds)
    finally:
        sys.stdout.flush()
        os._exit(0)


def _watch(request: str, seconds: float) -> None:
    end = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds  # goes on while the machine sleeps
    while time.clock_gettime(time.CLOCK_BOOTTIME) < end:
        if not os.path.exists(_token(request)):
            return
        time.sleep(0.2)
    try:
        os.rename(_token(request), _token(request) + ".struck")
    except FileNotFoundError:
        return
    rules.load("\n".join(rules.removal()) + "\n")
    forget(ISOLATION)
    journal.acted(request, "", "rolled back: nobody confirmed")
    forget(_token(request) + ".struck")


def confirm(call: Json) -> Json:
    """The controller got through over a new connection, so it may stay."""
    if journal.mark(call["id"]) == "confirmed":
        return {"confirmed": True}
    confirmed = _token(call["id"]) + ".confirmed"
    try:
        os.rename(_token(call["id"]), confirmed)
    except FileNotFoundError:
        # It may have ended in the middle of this.
        if not os.path.exists(confirmed):
            return {"confirmed": False}
    known = read(ISOLATION) or {}
    write(ISOLATION, {**known, "confirmed": True})
    booting.keep()
    journal.mark(call["id"], "confirmed")
    forget(confirmed)
    return {"confirmed": True}
