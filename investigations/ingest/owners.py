"""Which device or mailbox a source means. Nothing is ever merged here: a person decides that.

The strongest identity that is known decides. One that contradicts it, or that is too weak to say
who is who, opens a merge proposal.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from django.db.models import Model, Q
from django.db.models.functions import Now

from investigations import membership
from investigations.enums import Namespace, OsFamily
from investigations.ingest.columns import fitted
from investigations.intake.documents import DeviceDoc, Identity, MailboxDoc
from investigations.models import Device, DeviceIdentity, Mailbox, MailboxIdentity, MergeProposal
from investigations.queries import bind_to_simulator

N = Namespace
WEAK: Final = frozenset({N.HOST_NAME, N.IP_ADDRESS})
"""Alone they join only what was never named by anything better."""
CONFIDENCE: Final[Mapping[Namespace, int]] = {N.IP_ADDRESS: 40, N.HOST_NAME: 60, N.DNS_NAME: 80}
"""By the strongest identity that leads to the device; 100 for the others (design §4)."""
_SEVERAL: Final = frozenset({N.MAC, N.IP_ADDRESS, N.MAIL_ADDRESS, N.UPN})
"""One owner may have many of these, so two different ones are no contradiction."""

Owner = TypeVar("Owner", Device, Mailbox)
Doc = DeviceDoc | MailboxDoc


@dataclass(frozen=True, slots=True)
class Found(Generic[Owner]):
    """`confidence` that this is the owner that the source means, of 100."""

    owner: Owner
    confidence: int
    created: bool


class Register(Generic[Owner]):
    """The owners that some documents may mean, read once."""

    def __init__(self, model: type[Owner], identity: type[Model], field: str) -> None:
        self.model: type[Owner] = model
        self.identity = identity
        self.field = field
        self.by_identity: dict[Identity, Owner] = {}
        self.of_owner: dict[int, set[Identity]] = defaultdict(set)

    def load(self, docs: Iterable[Doc]) -> None:
        wanted = Q(pk__in=[])
        for namespace, value in {identity for doc in docs for identity in doc.identities}:
            wanted |= Q(namespace=namespace, value=value)
        rows = self.identity._default_manager.filter(wanted).select_related(self.field)
        owners = {getattr(row, self.field) for row in rows}
        every = self.identity._default_manager.filter(**{f"{self.field}__in": owners})
        for row in every.select_related(self.field):
            self._learn((Namespace(row.namespace), row.value), getattr(row, self.field))  # type: ignore[attr-defined]

    def _learn(self, identity: Identity, owner: Owner) -> None:
        self.by_identity[identity] = owner
        self.of_owner[owner.pk].add(identity)

    def resolve(self, doc: Doc, values: dict[str, Any], source: str) -> Found[Owner]:
        """The owner, made if nobody is known by these identities."""
        matches = [
            (space, self.by_identity[space, text])
            for space, text in doc.identities
            if (space, text) in self.by_identity
        ]
        usable = next(((space, owner) for space, owner in matches if self._means(space, owner, doc)), None)
        owner = usable[1] if usable else self.model._default_manager.create(**fitted(self.model, values))
        best = usable[0] if usable else doc.identities[0][0]
        self._claim(doc.identities, owner)
        for space, other in matches:
            if other.pk != owner.pk and not self._differ_by_design(space, other, doc):
                self._propose_merge(
                    owner, other, f"{source} names both by {space.name.replace('_', ' ').lower()}"
                )
        return Found(owner, CONFIDENCE.get(best, 100), usable is None)

    def _means(self, space: Namespace, owner: Owner, doc: Doc) -> bool:
        stronger = {known for known, _ in doc.identities if known < space}
        if space in WEAK and stronger - WEAK:
            return False
        return not any(self._contradicts(known, owner, doc) for known in stronger)

    def _contradicts(self, space: Namespace, owner: Owner, doc: Doc) -> bool:
        """Both have such an identity, and another one each. Agent numbers count within their system."""
        ours = {_scope(space, text) for known, text in self.of_owner[owner.pk] if known == space}
        theirs = {_scope(space, text) for known, text in doc.identities if known == space}
        rivals = {scope for scope, _ in ours} & {scope for scope, _ in theirs}
        return space not in _SEVERAL and bool(rivals) and not ours & theirs

    def _differ_by_design(self, space: Namespace, other: Owner, doc: Doc) -> bool:
        """Machines of two domains may share a short name, and addresses move on."""
        return space == N.IP_ADDRESS or (space == N.HOST_NAME and self._contradicts(N.DNS_NAME, other, doc))

    def _claim(self, identities: Sequence[Identity], owner: Owner) -> None:
        new = [identity for identity in identities if identity not in self.by_identity]
        self.identity._default_manager.bulk_create(
            [self.identity(**{self.field: owner}, namespace=int(space), value=text) for space, text in new]
        )
        for identity in new:
            self._learn(identity, owner)

    def _propose_merge(self, one: Owner, other: Owner, reason: str) -> None:
        first, second = sorted((one.pk, other.pk))
        MergeProposal.objects.get_or_create(
            kind=self.field, first_id=first, second_id=second, defaults={"reason": reason[:500]}
        )


def _scope(space: Namespace, text: str) -> tuple[str, str]:
    return (text.rpartition("/")[0] if space == N.AGENT_ID else "", text)


def devices(docs: Sequence[DeviceDoc], source: str) -> list[Found[Device]]:
    """In the order given, with their group assigned and what is new about them stored."""
    register = Register(Device, DeviceIdentity, "device")
    register.load(docs)
    found = [register.resolve(doc, _device_values(doc), source) for doc in docs]
    moved = {
        item.owner.pk: item.owner
        for doc, item in zip(docs, found, strict=True)
        if _renew(item.owner, doc) or item.owner.group_id is None
    }
    membership.assign(moved.values())
    bind_to_simulator({item.owner.pk: item.owner for item in found}.values())
    return found


def mailboxes(docs: Sequence[MailboxDoc], source: str) -> list[Found[Mailbox]]:
    register = Register(Mailbox, MailboxIdentity, "mailbox")
    register.load(docs)
    found = []
    for doc in docs:
        values = {"address": doc.address, "display_name": doc.display_name, "user_principal_name": doc.upn}
        item = register.resolve(doc, values, source)
        news = {name: value for name, value in values.items() if value and not getattr(item.owner, name)}
        Mailbox.objects.filter(pk=item.owner.pk).update(last_seen=Now(), **fitted(Mailbox, news))
        found.append(item)
    bind_to_simulator([], [item.owner for item in found])
    return found


def _device_values(doc: DeviceDoc) -> dict[str, Any]:
    return {
        "name": doc.name,
        "dns_name": doc.dns_name,
        "domain": doc.domain,
        "os_family": int(doc.os_family),
        "os_platform": doc.os_platform,
        "os_version": doc.os_version,
        "ip_addresses": list(doc.ips),
        "tags": list(doc.tags),
        "health": doc.health,
        "onboarding": doc.onboarding,
        "risk": doc.risk,
        "critical": bool(doc.critical),
    }


def _renew(device: Device, doc: DeviceDoc) -> bool:
    """Store what is new; returns whether it may move the device to another group.

    What a source is silent about stays. Tags add up, and only a person makes a device uncritical.
    """
    values = _device_values(doc)
    values["tags"] = list(dict.fromkeys([*device.tags, *doc.tags]))
    values["critical"] = device.critical or bool(doc.critical)
    values["name"] = device.name
    empty: tuple[Any, ...] = ("", [], int(OsFamily.UNKNOWN))
    news = {
        name: value
        for name, value in fitted(Device, values).items()
        if value not in empty and value != getattr(device, name)
    }
    for name, value in news.items():
        setattr(device, name, value)
    Device.objects.filter(pk=device.pk).update(last_seen=Now(), **news)
    return bool(news.keys() & {"domain", "tags", "os_platform"})
