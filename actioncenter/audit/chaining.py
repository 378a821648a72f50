"""Which key an event was chained with.

An event doesn't say it: no other key gives its chain value. Keys that were used before still vouch for what
they made, up to the event that retired them; whoever steals one later can add nothing.
"""

from collections import Counter
from contextlib import suppress
from typing import Final

from django.conf import settings

from actioncenter import keys
from actioncenter.audit import canonical
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event

NAME: Final = "audit.key"
STREAM: Final = "key:audit"
"""Of the events that tell of its rotations; `detail` has the `id` that was retired."""


def key_id(key: bytes) -> str:
    return keys.fingerprint(NAME, key)


def held() -> list[bytes]:
    """The keys that this host has; the current one first."""
    return [settings.AUDIT_KEY, *settings.AUDIT_KEY_FALLBACKS, *settings.AUDIT_KEYS_RETIRED]


def known() -> list[str]:
    """Their ids."""
    return [*dict.fromkeys(map(key_id, held()))]


class ChainKeys:
    """The keys of this host, for one verification. What the log says of them is read when it is needed."""

    def __init__(self) -> None:
        self._current = settings.AUDIT_KEY
        others = (*settings.AUDIT_KEY_FALLBACKS, *settings.AUDIT_KEYS_RETIRED)
        self._keys = list(dict.fromkeys((self._current, *others)))
        self._ids = {key: key_id(key) for key in self._keys}
        self._limits: dict[bytes, int] | None = None
        self.used: Counter[str] = Counter()
        """How many events each key made, by its id."""

    def objection(self, pk: int, stream: str, previous: str, text: str, chain: str) -> str:
        """Why the chain value counts for nothing; empty when it counts."""
        key = self._maker(stream, previous, text, chain)
        if key is None:
            return "its chain value doesn't follow from the row before it and the key" + self._absent()
        if key != self._current and pk > self._limit(key):
            return f"it was chained with the key {self._ids[key]}, which had been retired"
        self.used[self._ids[key]] += 1
        return ""

    def _maker(self, stream: str, previous: str, text: str, chain: str) -> bytes | None:
        with suppress(ValueError):  # a forged value before it that is no hex
            for key in self._keys:
                if canonical.link(key, stream, previous, text) == chain:
                    if key != self._keys[0]:
                        # What comes next was most likely made with the same.
                        self._keys.remove(key)
                        self._keys.insert(0, key)
                    return key
        return None

    def _limit(self, key: bytes) -> int:
        """The highest event that this key may have made."""
        if self._limits is None:
            self._limits = self._told()
        # Where its retirement is no longer in the log, it vouches for nothing.
        unknown = 0 if key in settings.AUDIT_KEYS_RETIRED else 1 << 62
        return self._limits.get(key, unknown)

    def _told(self) -> dict[bytes, int]:
        """What the log says, from the newest on: a key may be retired by one that was retired later."""
        held, found = {name: key for key, name in self._ids.items()}, dict[bytes, int]()
        rows = Event.objects.filter(stream=STREAM).order_by("-seq")
        told = list(rows.values_list("pk", "kind", "canonical", "chain"))
        before = [*(chain for *_, chain in told[1:]), ""]
        for (pk, kind, text, chain), previous in zip(told, before, strict=True):
            maker = self._maker(STREAM, previous, text, chain)
            if kind != Kind.KEY_RETIRED or maker is None or pk > found.get(maker, pk):
                continue
            detail = canonical.read(text)["detail"]
            key = held.get(str(detail.get("id"))) if isinstance(detail, dict) else None
            # No key sets its own limit. Of several events the oldest counts.
            if key is not None and key != maker:
                found[key] = pk
        return found

    def _absent(self) -> str:
        """Keys that the log names and this host doesn't have."""
        named = Event.objects.filter(stream=STREAM).values_list("detail", flat=True)
        details = [detail for detail in named if isinstance(detail, dict)]
        told = {str(detail[name]) for detail in details for name in ("from", "id") if name in detail}
        gone = sorted(told - {*self._ids.values()})
        return f"; the log names keys that aren't here: {', '.join(gone)}" if gone else ""
