"""Where copies of seals, and the events themselves, are sent as they are sealed, and how far each has them."""

import ipaddress
from datetime import timedelta
from typing import Any, ClassVar, Final, Self
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from actioncenter import vault
from actioncenter.accounts import fence
from actioncenter.audit import log, seals
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event, Seal
from actioncenter.environment import LOOPBACK
from actioncenter.settings.models.authority import PROOF_NEEDED, has_proved, may_change

MOST: Final = 20
"""Each has a thread of its own while it is sent to."""
SCHEMES: Final = ("https", "syslog+tls", "syslog+tcp", "syslog+udp")
LEASE: Final = timedelta(seconds=60)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=5)
"""Between tries: twice as long each time."""
LONGEST_ASKED: Final = timedelta(hours=1)
"""So long a receiver may ask us to wait."""
SHORTEST_SECRET: Final = 24


class DestinationError(Exception):
    """A destination that can't be; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DestinationQuerySet(models.QuerySet["Destination"]):
    def behind(self) -> Self:
        """Switched on, and something sealed isn't delivered."""
        return self.filter(enabled=True, seal__lt=newest_seal())

    def due(self) -> Self:
        free = Q(lease_until__isnull=True) | Q(lease_until__lte=Now()) | Q(lease_until__gt=Now() + 2 * LEASE)
        early = Q(next_try_at__gt=Now(), next_try_at__lte=Now() + 2 * LONGEST_ASKED)
        return self.behind().filter(free).exclude(early)


class Destination(models.Model):
    """`seal` and `position` move only after the receiver has taken what lies before them.

    Everything up to and with seal number `seal` is delivered, and of the next one the first `position` events.
    """

    name = models.CharField(max_length=80, unique=True)
    address = models.CharField(max_length=500)
    """`https://host/path`, or `syslog+tls://host:port`, `syslog+tcp` or `syslog+udp`."""
    what = models.CharField(max_length=10, choices=[("seals", "Seals"), ("events", "Events")])
    enabled = models.BooleanField(default=True)
    secret = models.BinaryField(blank=True, default=b"")
    """Ciphertext of the key that signs what is posted; never shown again."""
    ca = models.TextField(blank=True)
    """PEM of the authority that the receiver's certificate must come from; empty for those of the system."""
    seal = models.PositiveBigIntegerField(default=0)
    position = models.PositiveIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    """Tries in a row that didn't succeed."""
    failed_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)
    next_try_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    token = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    objects = DestinationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        return f"destination:{self.pk}"

    @property
    def url(self) -> SplitResult:
        return urlsplit(self.address)

    def behind_by(self, newest: int) -> int:
        """Seals that it hasn't got whole, of so many."""
        return max(newest - self.seal, 0)

    @classmethod
    def add(
        cls, *, name: str, address: str, what: str, secret: str = "", ca: str = "", so_far: bool, by: Actor
    ) -> Self:
        """`so_far`: with all that is sealed already. Raises DestinationError."""
        name = name.strip()
        _check(name, address, what, secret)
        with fence.exclusive():
            _must_be_allowed(by)
            if cls.objects.filter(name__iexact=name).exists():
                raise DestinationError("name", "There is a destination of this name.")
            if cls.objects.count() >= MOST:
                raise DestinationError("many", f"There are at most {MOST} destinations.")
            start = 0 if so_far else newest_seal()
            row = cls.objects.create(
                name=name,
                address=address,
                what=what,
                ca=ca,
                seal=start,
                secret=vault.seal(secret) if secret else b"",
            )
            row._record(
                Kind.STREAM_ADDED, by=by, after={"address": address, "what": what, "from_seal": start + 1}
            )
        return row

    def switch(self, *, on: bool, by: Actor) -> bool:
        """Send to it, or no more; it goes on where it was. Returns whether that changed anything."""
        with fence.exclusive():
            _must_be_allowed(by)
            rows = type(self).objects.filter(pk=self.pk, enabled=not on)
            changed = bool(rows.update(enabled=on, token=F("token") + 1, lease_until=None, next_try_at=None))
            if changed:
                self._record(Kind.STREAM_CHANGED, by=by, before={"enabled": not on}, after={"enabled": on})
        return changed

    def remove(self, *, by: Actor) -> None:
        with fence.exclusive():
            _must_be_allowed(by)
            if type(self).objects.filter(pk=self.pk).delete()[0]:
                self._record(Kind.STREAM_REMOVED, by=by, before={"address": self.address, "seal": self.seal})

    def _record(self, kind: Kind, *, by: Actor, **said: Any) -> None:
        log.record(kind, by=by, subject=self.ref, subject_name=self.name, **said)

    # Delivering

    def claim(self) -> bool:
        """Whether it is ours for a lease; whoever held it before can write no more."""
        rows = type(self).objects.due().filter(pk=self.pk)
        with transaction.atomic():
            if not rows.update(token=F("token") + 1, lease_until=Now() + LEASE):
                return False
            self.refresh_from_db()
        return True

    def _mine(self) -> models.QuerySet["Destination"]:
        return type(self).objects.filter(pk=self.pk, token=self.token)

    def acknowledged(self, seal: int, position: int) -> bool:
        """The receiver has it; whether the row was still ours."""
        moved = self._mine().filter(seal=self.seal, position=self.position)
        self.seal, self.position = seal, position
        return bool(
            moved.update(
                seal=seal, position=position, delivered_at=Now(), failures=0, error="", next_try_at=None,
                lease_until=Now() + LEASE,
            )
        )  # fmt: skip

    def failed(self, error: str, *, asked: timedelta | None = None) -> None:
        """Try again later: when the receiver asked us to, else twice as late as the last time."""
        wait = min(FIRST_WAIT * 2 ** min(self.failures, 10), LONGEST_WAIT)
        wait = max(wait, min(asked, LONGEST_ASKED)) if asked else wait
        self._mine().update(
            failures=F("failures") + 1,
            failed_at=Now(),
            error=error[:300],
            next_try_at=Now() + wait,
            lease_until=None,
        )

    def let_go(self) -> None:
        self._mine().update(lease_until=None)

    def next_seals(self, at_once: int, most_bytes: int) -> list[Seal]:
        """What comes next of seals: at least one, if there is any."""
        found: list[Seal] = []
        size = 0
        for row in Seal.objects.filter(number__gt=self.seal).order_by("number")[:at_once]:
            size += len(row.text)
            if found and size > most_bytes:
                break
            found.append(row)
        return found

    def next_events(self, at_once: int) -> tuple[list[tuple[int, Event]], int, int]:
        """Number of the seal and event of each that comes next, and the place after them."""
        found: list[tuple[int, Event]] = []
        seal, position = self.seal, self.position
        for number, text in (
            Seal.objects.filter(number__gt=seal)
            .order_by("number")
            .values_list("number", "text")[:at_once]
            .iterator(10)
        ):
            ids = seals.SealText.read(text).ids
            some = ids[position : position + at_once - len(found)]
            rows = Event.objects.in_bulk(list(some))
            found += [(number, rows[pk]) for pk in some if pk in rows]
            position += len(some)
            if position < len(ids):
                break
            seal, position = number, 0
        return found, seal, position


def newest_seal() -> int:
    """Its number; 0 while there is none."""
    return Seal.objects.order_by("-number").values_list("number", flat=True).first() or 0


def _check(name: str, address: str, what: str, secret: str) -> None:
    if not name or not name.isprintable() or len(name) > 80:
        raise DestinationError("name", "Give it a name of at most 80 characters.")
    if what not in ("seals", "events"):
        raise DestinationError("what", "It gets seals or events.")
    try:
        url, port = urlsplit(address), urlsplit(address).port
    except ValueError as error:
        raise DestinationError("address", f"{address} is no address.") from error
    if url.scheme not in SCHEMES and not _is_plain_here(url):
        raise DestinationError(
            "address", f"An address begins with {', '.join(f'{each}://' for each in SCHEMES)}."
        )
    if not url.hostname or url.username or url.fragment or not address.isascii() or not address.isprintable():
        raise DestinationError("address", "An address has a host, and neither a user nor a fragment.")
    _check_kind(url, port, what, secret)


def _check_kind(url: SplitResult, port: int | None, what: str, secret: str) -> None:
    if url.scheme.startswith("syslog"):
        if not port or url.path not in ("", "/") or url.query:
            raise DestinationError("address", "A syslog address is a host and a port.")
        if secret:
            raise DestinationError("secret", "Syslog has no secret.")
        if what == "seals" and url.scheme == "syslog+udp":
            raise DestinationError("what", "A datagram is too small for a seal; use TCP or TLS.")
    elif len(secret) < SHORTEST_SECRET:
        raise DestinationError(
            "secret", f"What is posted is signed: give a secret of {SHORTEST_SECRET} characters."
        )


def _is_plain_here(url: SplitResult) -> bool:
    return url.scheme == "http" and settings.STREAMS_TO_LOOPBACK and url.hostname in LOOPBACK


def is_forbidden(address: str) -> bool:
    """Whether an IP address is this machine or its link, where nobody keeps a log for others."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback:
        return not settings.STREAMS_TO_LOOPBACK
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved


def _must_be_allowed(by: Actor) -> None:
    if not may_change(by):
        raise DestinationError("role", "Only an admin says where the log is sent.")
    if not has_proved(by):
        raise DestinationError("reauthenticate", PROOF_NEEDED)
