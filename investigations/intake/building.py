"""Collects the devices, mailboxes and evidence of one alert, so that each is listed once."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from investigations.enums import EvidenceType, Namespace, OsFamily, RemediationStatus, Verdict
from investigations.intake.documents import DeviceDoc, EvidenceDoc, Identity, MailboxDoc
from investigations.intake.entities import ON_DEVICE, evidence_key
from investigations.intake.identities import Claim, identities, mail_address
from investigations.intake.text import NAME_CAP


class Builder:
    """`devices` keep the order in which they were named; the same identity is the same device."""

    def __init__(self) -> None:
        self.devices: list[DeviceDoc] = []
        self.mailboxes: list[MailboxDoc] = []
        self._evidence: dict[str, EvidenceDoc] = {}

    @property
    def evidence(self) -> tuple[EvidenceDoc, ...]:
        """What lives on a device and names none belongs to the alert's only one."""
        only = 0 if len(self.devices) == 1 else None
        return tuple(
            replace(item, device=only) if item.type in ON_DEVICE and item.device is None else item
            for item in self._evidence.values()
        )

    def device(self, claims: Iterable[Claim], **facts: Any) -> int | None:
        """The position of the device; None when nothing identifies one."""
        known = identities(claims)
        if not known:
            return None
        for index, device in enumerate(self.devices):
            if _same(device.identities, known):
                self.devices[index] = _merged(device, known, facts)
                return index
        self.devices.append(DeviceDoc(name=_name(facts.pop("name", ""), known), identities=known, **facts))
        return len(self.devices) - 1

    def mailbox(self, address: str, *, upn: str = "", guid: str = "", **facts: Any) -> int | None:
        """The position of the mailbox; None when the address isn't one."""
        address = mail_address(address) or mail_address(upn)
        known = identities(
            [(Namespace.MAILBOX_GUID, guid), (Namespace.MAIL_ADDRESS, address), (Namespace.UPN, upn)]
        )
        if not address:
            return None
        for index, mailbox in enumerate(self.mailboxes):
            if mailbox.address == address:
                given = {name: value for name, value in facts.items() if value}
                both = tuple(sorted({*mailbox.identities, *known}))
                self.mailboxes[index] = replace(
                    mailbox, identities=both, **{"upn": mail_address(upn) or mailbox.upn, **given}
                )
                return index
        self.mailboxes.append(MailboxDoc(address=address, upn=mail_address(upn), identities=known, **facts))
        return len(self.mailboxes) - 1

    def add(
        self,
        kind: EvidenceType,
        name: str,
        facts: dict[str, Any],
        *,
        device: int | None = None,
        mailbox: int | None = None,
        verdict: Verdict = Verdict.UNKNOWN,
        status: RemediationStatus = RemediationStatus.NONE,
        **more: Any,
    ) -> None:
        """Add it, or raise the verdict of the same thing that is there already."""
        item = EvidenceDoc(
            type=kind, name=(name or kind.name.replace("_", " ").lower())[:NAME_CAP], facts=facts,
            device=device, mailbox=mailbox, verdict=verdict, status=status, **more,
        )  # fmt: skip
        key = evidence_key(kind, facts, f"{device}/{mailbox}")
        there = self._evidence.get(key)
        if there is None:
            self._evidence[key] = item
        else:
            self._evidence[key] = _joined(there, item)

    def names_device(self, name: str) -> bool:
        return any(value == name.lower() for device in self.devices for _, value in device.identities)

    def has_fact(self, kinds: Collection[EvidenceType], name: str | None, value: Any) -> bool:
        """`name` None: any fact of that value."""
        return any(
            value == item.facts.get(name) if name else value in item.facts.values()
            for item in self._evidence.values()
            if item.type in kinds
        )


def _name(given: str, known: tuple[Identity, ...]) -> str:
    if given:
        return given
    names = dict(known)
    readable = (Namespace.HOST_NAME, Namespace.DNS_NAME, Namespace.IP_ADDRESS)
    return next((names[space] for space in readable if space in names), known[0][1])


def _same(ours: tuple[Identity, ...], theirs: tuple[Identity, ...]) -> bool:
    """The strongest namespace that both have decides."""
    shared = {space for space, _ in ours} & {space for space, _ in theirs}
    return any(space == min(shared) for space, _ in set(ours) & set(theirs))


def _merged(device: DeviceDoc, known: tuple[Identity, ...], facts: dict[str, Any]) -> DeviceDoc:
    empty: tuple[Any, ...] = ("", (), None, False, OsFamily.UNKNOWN)
    news = {
        name: value
        for name, value in facts.items()
        if value not in empty and getattr(device, name) in empty and name != "name"
    }
    return replace(device, identities=tuple(sorted({*device.identities, *known})), **news)


def _joined(there: EvidenceDoc, item: EvidenceDoc) -> EvidenceDoc:
    moments: list[datetime] = [moment for moment in (there.first_seen, item.first_seen) if moment]
    return replace(
        there,
        facts={**item.facts, **there.facts},
        verdict=max(there.verdict, item.verdict),
        status=item.status if there.status == RemediationStatus.NONE else there.status,
        roles=tuple(dict.fromkeys((*there.roles, *item.roles))),
        threats=tuple(dict.fromkeys((*there.threats, *item.threats))),
        first_seen=min(moments, default=None),
        altered=there.altered or item.altered,
    )
