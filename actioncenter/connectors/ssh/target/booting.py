"""A unit of systemd by which an isolation comes back after a reboot, before there is a network. It lies there only
while the host is isolated; a host without systemd has none, and its isolation ends with the next reboot."""

from __future__ import annotations

import os
import sys

from actioncenter.connectors.ssh.target import kept, services
from actioncenter.connectors.ssh.target.places import HOME, ISOLATION

NAME = "actioncenter-isolation.service"
UNIT = f"{services.UNITS}/{NAME}"
LINK = f"{services.UNITS}/sysinit.target.wants/{NAME}"
WORD = "boot"
"""The one argument that the helper knows. Who signs in can't give it any."""
_TEXT = """[Unit]
Description=Action center: this host is isolated
DefaultDependencies=no
RequiresMountsFor={home}
ConditionPathExists={isolation}
Wants=network-pre.target
Before=network-pre.target
[Service]
Type=oneshot
ExecStart={helper} {word}
"""


def note() -> str:
    return (
        "This host isn't run by systemd, so a reboot would end the isolation." if services.why_not() else ""
    )


def keep() -> None:
    """From the next start on; nothing is told to the systemd that runs now."""
    if services.why_not():
        return
    text = _TEXT.format(home=HOME, isolation=ISOLATION, helper=os.path.abspath(sys.argv[0]), word=WORD)
    kept.put(UNIT, kept.text(text.encode()))
    kept.put(LINK, kept.link(UNIT))


def drop() -> None:
    for path in (LINK, UNIT):
        if kept.look(path) is not None:
            kept.put(path, None)


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
