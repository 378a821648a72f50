"""What of an isolation stands on this host now. Interfaces come and go, and on some kernels (before 6.16) the chains
at one go with it, so what is ours is known by what it does, wherever it hangs."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple

from actioncenter.connectors.ssh.target import rules
from actioncenter.connectors.ssh.target.places import Json

MOST_TOLD = 50
_HOOK = re.compile(r"hook (ingress|egress) devices? ([^;]*?) ?priority")
_HOOKS = frozenset({"ingress", "egress"})
_NAME_OF_KERNEL = ("handle", "metainfo")


class Standing(NamedTuple):
    """Of our two tables: a hash of everything, empty where there is nothing; one for each thing that is in them;
    and the interfaces that they don't filter at."""

    digest: str
    parts: frozenset[str]
    uncovered: tuple[str, ...]

    def kept(self) -> Json:
        """For `is_of` and `is_whole` later."""
        return {"digest": self.digest, "parts": sorted(self.parts)}

    def is_of(self, kept: Json) -> bool:
        """Whether all of it was put there by us, however much of that is gone."""
        if "parts" not in kept:  # by a helper before this one
            return self.digest == kept.get("digest")
        return self.parts <= set(kept["parts"])

    def is_whole(self, kept: Json) -> bool:
        """Whether it is just that, at every interface that there is now."""
        same = self.parts == set(kept["parts"]) if "parts" in kept else self.digest == kept.get("digest")
        return bool(self.digest) and same and not self.uncovered


def now() -> Standing:
    found: list[list[Json]] = []
    for family in rules.FAMILIES:
        done = rules.nft("-j", "list", "table", family, rules.NAME)
        if done.returncode == 0:
            found.append([each for each in _plain(json.loads(done.stdout)["nftables"]) if each])
    if not found:
        return Standing("", frozenset(), ())
    return Standing(_hash(found), frozenset(part for table in found for part in _parts(table)), _uncovered())


def _parts(table: list[Json]) -> list[str]:
    """A chain with its rules, whatever its name and its interface; anything else as it is."""
    bodies: dict[str, list[Json]] = {}
    parts = []
    for each in table:
        if "rule" in each:
            bodies.setdefault(each["rule"]["chain"], []).append({**each["rule"], "chain": ""})
    for each in table:
        if "chain" in each:
            head = {name: value for name, value in each["chain"].items() if name not in {"name", "dev"}}
            parts.append(_hash([head, bodies.get(each["chain"]["name"], [])]))
        elif "rule" not in each:
            parts.append(_hash(each))
    return parts


def _uncovered() -> tuple[str, ...]:
    """Interfaces without both of our chains. As text, because nft 1.0.6 leaves devices out of its JSON."""
    hooks: dict[str, set[str]] = {}
    listed = rules.nft("list", "table", "netdev", rules.NAME)
    for hook, devices in _HOOK.findall(listed.stdout if listed.returncode == 0 else ""):
        for name in rules.INTERFACE.findall(devices):
            hooks.setdefault(name, set()).add(hook)
    names = [name for name in rules.interfaces() if hooks.get(name, set()) != _HOOKS]
    return tuple(name if rules.INTERFACE.fullmatch(name) else ascii(name) for name in names[:MOST_TOLD])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if name not in _NAME_OF_KERNEL}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
