"""Rotating the installation's keys, step by step; each step may be repeated, and a crash leaves a set that works.

A new key is made and lies beside the current one until every part of the product has it. Then the log is
told, in one transaction with what the installation takes for its key, and after that the files change
places. Where the log has been told and the files were not changed (a crash, or another host), the next call
changes them. docs/adr/0023.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from actioncenter import keyring, keys
from actioncenter.accounts import fence
from actioncenter.audit import log, reading, sealing, seals, signing
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.ops.management import reencrypting
from actioncenter.settings import describing
from actioncenter.settings.anchoring import host_name

FILES: Final = {
    "secret": "secret.key",
    "field-encryption": "field.key",
    "audit": "audit.key",
    "signing": "signing.key",
    "click": "click.key",
}
SETTLE: Final = timedelta(seconds=40)
"""By then every process of a part has read the folder anew: they do so each half minute."""


class NotNow(Exception):
    """A step that may not be taken; the text says what is missing."""


class NotYet(NotNow):
    """It will be by itself, or once other hosts have the file."""


@dataclass(frozen=True, slots=True)
class Key:
    """One of them, as it lies on this host."""

    name: str

    @property
    def file(self) -> str:
        return FILES[self.name]

    @property
    def stream(self) -> str:
        return f"key:{self.name}"

    @property
    def ring(self) -> keys.Ring:
        return keys.ring(_folder(), self.file)

    def id_of(self, key: bytes) -> str:
        if self.name == "signing":
            return seals.key_id(seals.public_key(key))
        return keys.fingerprint(self.file, key)

    def old(self, key_id: str) -> bytes | None:
        return next((key for key in self.ring.old if self.id_of(key) == key_id), None)

    def told(self, *kinds: Kind) -> list[dict[str, Any]]:
        """What the log says of it, from the oldest on: genuine events only."""
        return reading.genuine([self.stream], kinds)

    def rotated_to(self) -> str:
        """The key that the log says is used; empty when it was never rotated."""
        said = self.told(Kind.KEY_ROTATED)
        return str(said[-1]["detail"]["id"]) if said else ""

    def record(self, kind: Kind, key_id: str, *, by: Actor, **detail: Any) -> None:
        said = {"id": key_id, "host": host_name(), **detail}
        log.record(kind, by=by, subject=self.stream, subject_name=f"Key {self.name}", detail=said)


def listed() -> list[dict[str, Any]]:
    """Ids, and nothing else, of the sets on this host."""
    return [_listed(Key(name)) for name in FILES]


def _listed(key: Key) -> dict[str, Any]:
    ring, start = key.ring, key.file + keys.RETIRED
    return {
        "name": key.name,
        "current": key.id_of(ring.current),
        "next": key.id_of(ring.coming) if ring.coming else "",
        "old": [key.id_of(each) for each in ring.old],
        "retired": sorted(path.name.removeprefix(start) for path in _folder().glob(f"{start}*")),
    }


def add(key: Key, *, by: Actor) -> str:
    """Make the next key, unless there is one; its id. Everybody reads with it, nobody writes."""
    if key.ring.coming is None and key.file in describing.differing():
        raise NotNow(f"The installation has another key: copy {key.file} from another host.")
    keys.stage(_folder(), key.file)
    keyring.refresh()
    coming = _coming(key)
    with fence.exclusive():
        if not any(said["detail"]["id"] == coming for said in key.told(Kind.KEY_ADDED)):
            key.record(Kind.KEY_ADDED, coming, by=by)
    return coming


def rotate(key: Key, *, by: Actor, anyway: bool = False) -> str:
    """Use the next key; its id. Raises NotYet while a part doesn't have it, unless `anyway`, and NotNow."""
    coming, before = _coming(key), key.id_of(key.ring.current)
    if key.rotated_to() != coming:
        if not anyway:
            _everybody_has(key, coming)
        _announce(key, coming, before, by=by)
    keys.switch(_folder(), key.file, before)
    keyring.refresh()
    return coming


def _announce(key: Key, coming: str, before: str, *, by: Actor) -> None:
    """One transaction: what the log says, what the installation takes for its key, and which one signs."""
    raw = key.ring.coming or b""
    if key.name == "signing" and sealing.newest() is None:
        sealing.seal()
    with fence.exclusive():
        if key.rotated_to() == coming:
            return
        detail: dict[str, Any] = {"from": before}
        if key.name == "signing":
            try:
                detail["seal"] = sealing.hand_over(seals.public_key(raw))
            except (LookupError, signing.KeyMissing) as error:
                raise NotNow(str(error)) from error
        key.record(Kind.KEY_ROTATED, coming, by=by, **detail)
        describing.make_current(key.file, keys.fingerprint(key.file, raw))


def sign_anew(*, by: Actor, reason: str) -> str:
    """Where the signing key is lost: this host's key signs from now on, and every verifier will say so."""
    key = Key("signing")
    if not reason.strip():
        raise NotNow("Say what became of the old key.")
    with fence.exclusive():
        last, mine = sealing.newest(), key.id_of(key.ring.current)
        if last is None or signing.in_force(last) == mine:
            raise NotNow("Nothing is lost: seals are signed with this host's key.")
        detail = {"from": signing.in_force(last), "seal": sealing.begin_anew(), "lost": True}
        key.record(Kind.KEY_ROTATED, mine, by=by, reason=reason[:2000], **detail)
        describing.make_current(key.file, keys.fingerprint(key.file, key.ring.current))
    return mine


def retire(key: Key, key_id: str, *, by: Actor, anyway: bool = False) -> None:
    """Nothing that this key makes counts any more. Raises NotYet, and NotNow while something needs it."""
    raw = key.old(key_id)
    if raw is None:
        raise NotNow(f"There is no old key {key_id} of {key.name} here; see `manage.py keys list`.")
    if not any(said["detail"]["id"] == key_id for said in key.told(Kind.KEY_RETIRED)):
        if not anyway:
            _nobody_uses_another(key)
        _not_needed(key, raw, key_id)
        with fence.exclusive():
            key.record(Kind.KEY_RETIRED, key_id, by=by)
    kept = {"audit": raw, "signing": seals.public_key(raw)} if key.name in ("audit", "signing") else {}
    keys.retire(_folder(), key.file, key_id, keep=kept.get(key.name))
    keyring.refresh()


def _not_needed(key: Key, raw: bytes, key_id: str) -> None:
    last = sealing.newest()
    if key.name == "signing" and last is not None and signing.in_force(last) == key_id:
        raise NotNow("Seals are still signed with it.")
    if key.name == "field-encryption" and (left := reencrypting.left(raw)):
        what = ", ".join(f"{number} {kind}" for kind, number in left.items())
        raise NotNow(f"Only this key opens {what}. Run `manage.py keys reencrypt`; snapshots keep their key.")


def _coming(key: Key) -> str:
    coming = key.ring.coming
    if coming is None:
        raise NotNow(f"There is no next key of {key.name}.")
    return key.id_of(coming)


def _everybody_has(key: Key, coming: str) -> None:
    wanted = keys.fingerprint(key.file, key.ring.coming or b"")
    parts = list(describing.heard_of())
    without = [str(part) for part in parts if not describing.has(part.keys, key.file, wanted)]
    if without:
        raise NotYet(
            f"Without the next key: {', '.join(without)}. Copy {key.file}{keys.NEXT} to other hosts."
        )
    added = [said["at"] for said in key.told(Kind.KEY_ADDED) if said["detail"]["id"] == coming]
    _settled(added, any_part=bool(parts))


def _nobody_uses_another(key: Key) -> None:
    wanted = keys.fingerprint(key.file, key.ring.current)
    parts = list(describing.heard_of())
    others = [str(part) for part in parts if part.keys.get(key.file) != wanted]
    if others:
        raise NotYet(
            f"Not yet with the current key: {', '.join(others)}. On other hosts: `manage.py keys rotate`."
        )
    _settled([said["at"] for said in key.told(Kind.KEY_ROTATED)], any_part=bool(parts))


def _settled(moments: list[Any], *, any_part: bool) -> None:
    """A part may be several processes, which don't read the folder at the same moment."""
    if any_part and moments and sealing.Horizon.now().at - moments[-1] < SETTLE:
        raise NotYet("Some processes may not have read the folder yet.")


def _folder() -> Path:
    return Path(settings.KEYS_DIR)
