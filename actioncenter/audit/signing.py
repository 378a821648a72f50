"""Which of the signing keys signs the next seal.

The log itself says so, not a file: the last seal, or the one it handed over to. So all hosts change at the
same number, and one that wasn't given the new key signs nothing instead of something wrong.
"""

from django.conf import settings

from actioncenter.audit import seals
from actioncenter.audit.models import Seal


class KeyMissing(Exception):
    """The key that must sign isn't on this host; the text says which."""


def key_after(last: Seal | None) -> bytes:
    """The private key. Raises KeyMissing."""
    if last is None:
        return settings.SIGNING_KEY
    wanted = in_force(last)
    for key in (settings.SIGNING_KEY, *settings.SIGNING_KEY_FALLBACKS):
        if seals.key_id(seals.public_key(key)) == wanted:
            return key
    raise KeyMissing(
        f"Seals are signed with the key {wanted}, which this host doesn't have. Copy it here; if it is lost"
        " everywhere: manage.py keys rotate signing --old-key-lost."
    )


def in_force(last: Seal) -> str:
    """Id of the key that signs what comes after this seal."""
    if last.text.startswith(seals.HANDOVER_HEADER):
        return seals.key_id(bytes.fromhex(seals.SealText.read(last.text).successor))
    return last.key_id


def known() -> list[bytes]:
    """Public keys that this host has signed with, may have, or will; the current one first."""
    private = (settings.SIGNING_KEY, *settings.SIGNING_KEY_FALLBACKS)
    return [*map(seals.public_key, private), *settings.SIGNING_KEYS_RETIRED]
