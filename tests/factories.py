"""Real objects for tests, made the way the product makes them. A small cast, each with one reason to exist.

Mira is a Responder, Aiko an Email responder, Sam works the night shift and is both, Noa is an
admin, Ivo an auditor, Kim an analyst, Nobody has no role.
"""

import time
from collections.abc import Sequence
from itertools import count
from typing import Any

from django.contrib.auth.models import Group
from django.test import Client

from actioncenter.accounts.models import User
from actioncenter.accounts.request import PROVED
from actioncenter.actions import planning
from actioncenter.actions.models import Action
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import AutomationLevel, Role
from actioncenter.settings.models import DeviceGroup
from investigations.enums import EvidenceType, OsFamily, Verdict
from investigations.models import Device, EmailCluster, Evidence, Investigation, Mailbox
from investigations.queries import bind_to_simulator

SETUP = Actor.command("setup")
PASSWORD = "correct horse battery staple"
CAST = {
    "mira": ("Mira Chen", [Role.RESPONDER]),
    "aiko": ("Aiko Tanaka", [Role.EMAIL_RESPONDER]),
    "sam": ("Sam Okoye", [Role.RESPONDER, Role.EMAIL_RESPONDER]),
    "noa": ("Noa Levi", [Role.ADMIN]),
    "ivo": ("Ivo Petrov", [Role.AUDITOR]),
    "kim": ("Kim Larsen", [Role.ANALYST]),
    "nobody": ("Nobody Atall", []),
}
_numbers = count(1)


def person(username: str) -> User:
    """One of the cast, enrolled on first use."""
    found = User.objects.filter(username=username).first()
    if found:
        return found
    name, roles = CAST[username]
    return User.objects.enrol(username, by=SETUP, password=PASSWORD, roles=roles, display_name=name)


def actor(person: User) -> Actor:
    """This person, who has just given the password."""
    return person.actor(proved_at=time.time())


def prove(client: Client) -> None:
    """The person signed in there has just given the password."""
    session = client.session
    session[PROVED] = time.time()
    session.save()


def group(
    name: str = "Finance laptops", level: AutomationLevel = AutomationLevel.SEMI_ALL, **more: Any
) -> DeviceGroup:
    rank = (
        DeviceGroup.objects.exclude(rank=None).order_by("-rank").values_list("rank", flat=True).first() or 0
    ) + 1
    return DeviceGroup.objects.create(
        name=name, rank=more.pop("rank", rank), level=level, level_confirmed=True, **more
    )


def closed_group(name: str = "Board members") -> DeviceGroup:
    """A group that only a user group nobody is in may see."""
    made = group(name)
    made.access.add(Group.objects.create(name=f"{name} response"))
    return made


def device(name: str = "", in_group: DeviceGroup | None = None, **more: Any) -> Device:
    made = Device.objects.create(
        name=name or f"fin-lt-{next(_numbers):04}",
        group=in_group or DeviceGroup.objects.get(is_default=True),
        os_family=more.pop("os_family", OsFamily.WINDOWS),
        **more,
    )
    bind_to_simulator([made])
    return made


def mailbox(address: str = "") -> Mailbox:
    made = Mailbox.objects.create(address=address or f"person{next(_numbers)}@halden.example")
    bind_to_simulator([], [made])
    return made


def investigation(title: str = "Unusual child process", **more: Any) -> Investigation:
    return Investigation.objects.create(source="tests", title=title, **more)


def file_evidence(
    on: Device, of: Investigation | None = None, verdict: Verdict = Verdict.MALICIOUS,
    path: str = r"C:\Users\bo\Documents\svchost_update.exe", **more: Any,
) -> Evidence:  # fmt: skip
    """A file on a device; every call is another file unless `sha256` is given."""
    sha256 = more.pop("sha256", f"{next(_numbers):064x}")
    name = path.rpartition("\\")[2] or path
    return Evidence.objects.create(
        investigation=of or investigation(), key=f"file-{on.pk}-{sha256}"[:64], type=EvidenceType.FILE, name=name,
        verdict=verdict, device=on, group=on.group, path=path, sha256=sha256,
        facts={"path": path, "file_name": name, "sha256": sha256}, **more,
    )  # fmt: skip


def cluster_evidence(
    of: Investigation | None = None, verdict: Verdict = Verdict.MALICIOUS, messages: int = 3,
    subject: str = "Your invoice is overdue",
) -> Evidence:  # fmt: skip
    bind_to_simulator([])
    found_in = of or investigation("Phish delivered")
    number = next(_numbers)
    cluster = EmailCluster.objects.create(investigation=found_in, name=subject, frozen_count=messages)
    facts = {"cluster_id": f"cluster-{number}", "email_count": messages, "subject": subject}
    return Evidence.objects.create(
        investigation=found_in, key=f"cluster-{number}", type=EvidenceType.MAIL_CLUSTER, name=subject,
        verdict=verdict, cluster=cluster, area=2, facts=facts,
    )  # fmt: skip


def planned(*evidence: Evidence) -> list[Action]:
    """The actions that the evidence leads to, in the order of their numbers."""
    planning.plan([item.pk for item in evidence])
    return list(Action.objects.filter(links__evidence__in=evidence).distinct().order_by("pk"))


def waiting_action(in_group: DeviceGroup | None = None, **more: Any) -> Action:
    """A pending quarantine of one malicious file, in a group that asks for everything."""
    home = in_group or DeviceGroup.objects.filter(name="Finance laptops").first() or group()
    return planned(file_evidence(device(in_group=home), **more))[0]


def waiting_mail_action(**more: Any) -> Action:
    return planned(cluster_evidence(**more))[0]


def waiting_actions(number: int, in_group: DeviceGroup | None = None) -> Sequence[Action]:
    """Pending quarantines of as many files on as many devices."""
    return [waiting_action(in_group) for _ in range(number)]
