"""One finding for each hostile name, with the name in every place that a source fills."""

from dataclasses import dataclass
from typing import Any

from actioncenter.actions import intake
from actioncenter.actions.models import Action
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import DeviceGroup, GroupRule
from investigations.intake.native import to_document
from investigations.intake.text import clean_text
from investigations.models import Investigation
from investigations.queries import bind_to_simulator
from tests import factories

LIMITS = {"name": 255, "title": 512, "group": 100, "comment": 2_000, "person": 150}
"""What an entrance takes at most, in characters; more is refused there, which is tested elsewhere."""


@dataclass(frozen=True)
class Case:
    """`text` as a source sends it."""

    number: int
    text: str
    investigation: Investigation
    group: DeviceGroup
    actions: dict[int, Action]

    def stored(self, place: str) -> str:
        return cleaned(self.text, place)


def cleaned(text: str, place: str) -> str:
    return clean_text(text[: LIMITS[place]]).text.strip()


def is_altered(text: str) -> bool:
    """Whether the entrance has to replace something, which the pages then tell."""
    return clean_text(text[: LIMITS["title"]]).altered


def entities(number: int, name: str) -> dict[str, dict[str, Any]]:
    """What is found on the device, each named so."""
    hashes = {"sha256": f"{number:064x}"}
    return {
        "file": {"file_name": name, "path": f"C:\\Users\\{name}\\Documents", **hashes},
        "process": {
            "file_name": name,
            "pid": number + 1,
            "command_line": f"{name} {name}",
            "account": name,
            **hashes,
        },
        "service": {"name": name, "path": f"C:\\{name}"},
        "url": {"url": f"https://evil.example/{number}/{name}"},
        "user": {
            "account": name,
            "domain": name,
            "display_name": name,
            "upn": f"user{number}@halden.example",
        },
    }


def finding(number: int, text: str) -> dict[str, Any]:
    """A document of the product's own format."""
    name, title = text[: LIMITS["name"]], text[: LIMITS["title"]]
    malicious = {"verdict": "malicious", "device": "d", "origin": name[:100], "threats": [name]}
    cluster = {
        "cluster_id": f"c-{number}", "name": title, "email_count": 2, "query": name, "cluster_by": "Subject",
        "members": [{"mailbox": f"box{number}@halden.example", "message_id": f"m-{number}", "folder": "Inbox"}],
    }  # fmt: skip
    return {
        "format": "actioncenter/1",
        "source": {"name": f"source-{number}", "label": name[:100]},
        "alerts": [{
            "id": f"alert-{number}", "title": title, "created": "2026-11-23T12:00:00Z", "severity": "high",
            "category": name[:100], "detection_source": name[:100], "service_source": name[:100], "description": text[:4_000],
            "incident": f"incident-{number}", "investigation": {"id": f"inv-{number}", "title": title},
            "devices": [{"ref": "d", "name": name, "identities": {"agent_id": f"agent-{number}"}, "tags": [f"tag{number}"],
                         "os": {"family": "windows", "platform": name[:90]}}],
            "mailboxes": [{"ref": "m", "address": f"box{number}@halden.example", "display_name": name}],
            "evidence": [
                *({"type": kind, "facts": held, **malicious} for kind, held in entities(number, name).items()),
                {"type": "mail_cluster", "facts": cluster, "verdict": "malicious", "mailbox": "m"},
            ],
        }],
    }  # fmt: skip


def store(number: int, text: str) -> Case:
    """The finding, in a device group of its own that asks for everything."""
    group = factories.group(f"{cleaned(text, 'group')} {number}", AutomationLevel.SEMI_ALL)
    GroupRule.objects.create(group=group, property="tag", operator="equals", value=f"tag{number}")
    receipt = intake.record(to_document(finding(number, text)), by=factories.SETUP)
    found = Investigation.objects.get(pk=receipt.recorded.investigations[0])
    bind_to_simulator(found.devices.all())
    actions = {int(action.type): action for action in Action.objects.filter(investigation=found)}
    return Case(number, text, found, group, actions)
