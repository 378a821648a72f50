"""Each part of the product says what it is: on which host, of which version, with which keys and clock.

The first one to do so sets which keys the installation has. A part with others is told of, and a runner
with others dispatches nothing: it couldn't verify, decrypt or sign what the rest has written. One with another
audit key writes nothing either: the rest would take it for a forger.
"""

import json
import logging
import time
import tomllib
from datetime import timedelta
from functools import cache
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from actioncenter import keyring, keys
from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify_admins
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.anchoring import host_name
from actioncenter.settings.models import Host
from actioncenter.settings.models.authority import may_change
from actioncenter.settings.models.hosts import REFERENCE
from actioncenter.web.statements import Compiled, compiled, kept, rows_of

logger = logging.getLogger(__name__)
KEYS: Final = {
    "secret.key": "SECRET_KEY", "field.key": "FIELD_KEY", "audit.key": "AUDIT_KEY", "signing.key": "SIGNING_KEY",
    "click.key": "CLICK_KEY",
}  # fmt: skip
FORGOTTEN_AFTER: Final = timedelta(days=1)
PAGE: Final = "/settings/health"
CLOCK: Final = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())::float8",
}


class KeysError(Exception):
    """Keys that may not be taken for the installation's; the text says why."""


def fingerprints() -> dict[str, str]:
    """Of each key something that tells whether two are the same, and nothing else.

    While one is rotated its others stand beside it, as `audit.key 1`.
    """
    found = {}
    for name, setting in KEYS.items():
        others = enumerate(getattr(settings, f"{setting}_FALLBACKS"), start=1)
        for label, key in [
            (name, getattr(settings, setting)),
            *((f"{name} {at}", key) for at, key in others),
        ]:
            found[label] = keys.fingerprint(name, key.encode() if isinstance(key, str) else bytes(key))
    return found


def has(said: dict[str, str], name: str, print_: str | None) -> bool:
    """Whether somebody with these fingerprints holds that key, whatever for."""
    return any(each == print_ for label, each in said.items() if label.partition(" ")[0] == name)


def differing() -> list[str]:
    """Names of keys that this process holds and the installation doesn't."""
    known = rows_of(_known())
    return _between(fingerprints(), json.loads(known[0][0])) if known else []


@kept
def _known() -> Compiled | None:
    """The keys of the installation, as text."""
    return compiled(Host.objects.filter(part=REFERENCE).order_by("pk").values_list("keys")[:1])


def _between(mine: dict[str, str], known: dict[str, str]) -> list[str]:
    """Who holds the installation's keys, if only as the next or the one before, understands the others."""
    return sorted(name for name in KEYS if name in known and not has(mine, name, known[name]))


def differing_of(row: Host) -> list[str]:
    """Names of keys that the part holds and the installation doesn't."""
    known = Host.objects.filter(part=REFERENCE).values_list("keys", flat=True).first()
    return [] if known is None else _between(row.keys, known)


def heard_of() -> "QuerySet[Host]":
    """Parts that described themselves within a day; a host that is gone is forgotten then."""
    rows = Host.objects.exclude(part=REFERENCE).filter(seen_at__gt=Now() - FORGOTTEN_AFTER)
    return rows.order_by("name", "part")


def describe(part: str, *, by: Actor, wakes_lost: int = 0) -> None:
    """Write this part's row; tell the admins, once, when its keys are others than the installation's."""
    _take_up_keys()
    mine, skew = fingerprints(), clock_skew()
    with fence.decider():
        known, _ = Host.objects.get_or_create(
            name="", part=REFERENCE, defaults={"keys": {name: mine[name] for name in KEYS}}
        )
        known = _with_new_keys(known, mine)
        row, _ = Host.objects.get_or_create(name=host_name(), part=part)
        Host.objects.filter(pk=row.pk).update(
            keys=mine, version=version(), skew=skew, seen_at=Now(), wakes_lost=F("wakes_lost") + wakes_lost
        )
        other = _between(mine, known.keys)
        log.hold_back(bytes(settings.AUDIT_KEY) if "audit.key" in other else b"")
        if other and row.keys != mine:
            _tell(row, other, by=by)


def _with_new_keys(known: Host, mine: dict[str, str]) -> Host:
    """A key that came with a newer version is that of the first part which has one."""
    if known.keys.keys() >= KEYS.keys():
        return known
    row = Host.objects.select_for_update().get(pk=known.pk)
    row.keys = {**{name: mine[name] for name in KEYS}, **row.keys}
    row.save(update_fields=["keys"])
    return row


def _take_up_keys() -> None:
    try:
        keyring.refresh()
    except OSError as error:
        logger.warning("the keys could not be read anew: %s", error)


def _tell(row: Host, other: list[str], *, by: Actor) -> None:
    """Without its key the log can't be told, only the admins."""
    if not log.is_held_back():
        log.record(
            Kind.KEYS_DIFFER, by=by, subject=f"host:{row.name}", subject_name=str(row), detail={"keys": other}
        )
    notify_admins(
        "keys.differ",
        title=f"The {row} has other keys than the rest: {', '.join(other)}. It dispatches nothing",
        url=PAGE,
        severity=Severity.URGENT,
    )


def take_for_the_installations(*, by: Actor, comment: str) -> list[str]:
    """This process's keys are those of the installation from now on. Raises KeysError."""
    if not comment.strip():
        raise KeysError("Say why these are the right keys.")
    with fence.exclusive():
        if not may_change(by):
            raise KeysError("Only an admin says which keys are the right ones.")
        known = Host.objects.filter(part=REFERENCE).values_list("keys", flat=True).first() or {}
        other, mine = differing(), {name: fingerprints()[name] for name in KEYS}
        Host.objects.update_or_create(name="", part=REFERENCE, defaults={"keys": mine})
        log.hold_back(b"")
        if other:
            log.record(
                Kind.SETTING_CHANGED, by=by, subject="keys", subject_name="Keys of the installation",
                before={name: known[name] for name in other}, after={name: mine[name] for name in other},
                detail={"keys": other, "comment": comment[:2000], "host": host_name()},
            )  # fmt: skip
    return other


def make_current(name: str, print_: str) -> None:
    """This is the installation's key of that name from now on. Within the fence, with the event that says so."""
    row, _ = Host.objects.get_or_create(
        name="", part=REFERENCE, defaults={"keys": {name: fingerprints()[name] for name in KEYS}}
    )
    Host.objects.filter(pk=row.pk).update(keys={**row.keys, name: print_})


def clock_skew() -> float:
    """Seconds by which this machine's clock is ahead of the database's, half of the way there taken off."""
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute(CLOCK[connection.vendor])
        [there] = cursor.fetchone()
    return round((before + time.time()) / 2 - float(there), 3)


@cache
def version() -> str:
    project = settings.BASE_DIR / "pyproject.toml"
    try:
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])[:40]
    except (OSError, ValueError, KeyError):
        return ""
