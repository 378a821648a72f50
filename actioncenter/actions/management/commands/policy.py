"""`policy explain`: what the rules make of one finding, and why."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from actioncenter.actions import policy, reasons
from actioncenter.actions.catalogue import BY_CODE
from actioncenter.actions.enums import Area
from actioncenter.settings import facts, matching
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import Safeguards
from investigations.enums import OsFamily, Verdict
from investigations.models import Device

VERDICTS = {verdict.name.lower(): verdict for verdict in Verdict} | {"compromised": Verdict.MALICIOUS}
LEVELS = {level.name.lower(): level for level in AutomationLevel}
USER = "user"
AREAS = {area.name.lower(): area for area in Area} | {USER: Area.DEVICE}


def _word(value: str) -> str:
    return value.strip().lower().replace("-", "_")


class Command(BaseCommand):
    help = "Explains what policy decides about a finding, without changing anything."

    def add_arguments(self, parser: CommandParser) -> None:
        explain = parser.add_subparsers(dest="what", required=True).add_parser(
            "explain", help="the outcome for one finding, with its reason"
        )
        explain.add_argument("--verdict", required=True, type=_word, choices=sorted(VERDICTS))
        explain.add_argument(
            "--level", type=_word, choices=sorted(LEVELS), help="default: the device's own level"
        )
        explain.add_argument(
            "--path", help="of the file; leave out for what has no path, such as a registry key"
        )
        explain.add_argument("--area", type=_word, choices=sorted(AREAS), default="device")
        explain.add_argument("--device", help="name or number: its group, level and flags are used")
        explain.add_argument("--action", type=_word, choices=sorted(BY_CODE), help="the action in question")
        explain.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        question = argparse.Namespace(**options)
        device = _device(question.device) if question.device else None
        outcome, location = _explain(question, device)
        reason = reasons.render(outcome.code, outcome.params)
        folder_class = location.folder_class.name.lower()
        if question.json:
            answer = {
                "outcome": outcome.kind.value,
                "code": outcome.code,
                "reason": reason,
                "folder_class": folder_class,
            }
            self.stdout.write(json.dumps(answer | {"row": outcome.row}))
            return
        self.stdout.write(f"{outcome.kind.value}: {reason}")
        row = f", row {outcome.row} of the table" if outcome.row else ""
        self.stdout.write(f"(code {outcome.code}{row}, folder class {folder_class})")


def _device(name: str) -> Device:
    found = Device.objects.select_related("group")
    matches = list(found.filter(name__iexact=name)[:2])
    if not matches and name.isascii() and name.isdigit():
        matches = list(found.filter(pk=int(name)))
    if len(matches) != 1:
        raise CommandError(
            f"{'Several devices have' if matches else 'No device has'} the name {reasons.plain(name)}."
        )
    return matches[0]


def _level(question: argparse.Namespace, device: Device | None) -> AutomationLevel | None:
    if AREAS[question.area] != Area.DEVICE or question.area == USER:
        return None
    if question.level:
        return LEVELS[question.level]
    if device is None:
        raise CommandError("Give --level, or --device to use the level of its group.")
    return device.group.automation if device.group else None


def _explain(question: argparse.Namespace, device: Device | None) -> tuple[policy.Outcome, matching.Location]:
    level = _level(question, device)
    os_family = OsFamily(device.os_family) if device else OsFamily.UNKNOWN
    location = matching.locate(
        question.path, level, facts.folder_rules(), file_like=question.path is not None, os_family=os_family
    )
    known = policy.Facts(
        area=AREAS[question.area],
        verdict=VERDICTS[question.verdict],
        level=level,
        folder_class=location.folder_class,
        action_type=BY_CODE[question.action] if question.action else None,
        excluded=matching.excluded(question.path, facts.exclusions(Safeguards.current()), os_family),
        critical=bool(device and (device.critical or (device.group and device.group.critical))),
        membership_stale=bool(device and device.membership_stale),
        user_compromised=question.area == USER,
        group_name=device.group.name if device and device.group else "",
        device_name=device.name if device else "",
        path=question.path or "",
        folder=location.folder,
    )
    return policy.decide(known), location
