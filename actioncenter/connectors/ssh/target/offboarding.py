"""End what lets us in: the right, the helper and the trust, in this order. Nothing of ours may be in force any more."""

from __future__ import annotations

import contextlib
import shutil

from actioncenter.connectors.ssh.target import containment, journal, kept, restriction, standing, vault
from actioncenter.connectors.ssh.target.places import Json, Refusal, forget

FOLDER = "/usr/local/lib/actioncenter"
RIGHT = "/etc/sudoers.d/actioncenter"
SSHD = "/etc/ssh/sshd_config.d/50-actioncenter.conf"
TRUST = "/etc/ssh/actioncenter_ca.pub"


def observe(item: Json, call: Json) -> Json:
    """That it can answer at all means that it is enrolled."""
    return {"enrolled": True, "in_the_way": _in_the_way()}


def offboard(item: Json, call: Json) -> Json:
    left = _in_the_way()
    if left:
        raise Refusal("in_force", "First has to be undone: " + ", ".join(left))
    journal.acted(call["id"], item["key"], "offboarded")
    for path in (RIGHT, SSHD):
        forget(path)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(FOLDER)
    # Each sign-in reads it, so from here on there is none, whether or not sshd has read its settings again.
    forget(TRUST)
    return {"outcome": "succeeded", "after": {"enrolled": False}}


def _in_the_way() -> list[str]:
    """What nobody could undo any more without us."""
    found = []
    if standing.now().digest:
        found.append("isolation")
    if containment.active():
        found.append("containment of other devices")
    if restriction.active():
        found.append("restricted code execution")
    files = sum(not each["released"] for each in vault.entries())
    if files:
        found.append(f"{files} in quarantine")
    more = sum(bool(each["done"]) and not each.get("undone") for each in kept.entries())
    if more:
        found.append(f"{more} services, tasks or modules")
    return found
