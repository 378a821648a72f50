"""Drop everything from and to another device, on every address it is known by. Its own table, sets and record."""

from __future__ import annotations

import ipaddress
import json
import socket
from typing import Any

from actioncenter.connectors.ssh.target import journal, rules
from actioncenter.connectors.ssh.target.places import CONTAINED, Json, Refusal, read, write

NAME = rules.NAME + "_contained"
MOST = 64
"""Addresses of one device."""
_SETS = {4: "addresses4", 6: "addresses6"}


def observe(item: Json, call: Json) -> Json:
    """`open` are the addresses of it that get through to this host."""
    wanted, live = addresses(item), _live()
    left = [each for each in wanted if each not in live]
    return {
        "containment": "none" if not wanted or left == wanted else "part" if left else "in force",
        "open": left,
    }


def contain(item: Json, call: Json) -> Json:
    wanted = addresses(item)
    _may(wanted, call)
    state = observe(item, call)
    held = read(CONTAINED) or {}
    if call["id"] not in held:
        if state["containment"] == "in force":
            return {"outcome": "already", "after": state}
        held[call["id"]] = {"addresses": wanted, "done": False}
        write(CONTAINED, held)
    _load(held)
    if not held[call["id"]]["done"]:
        held[call["id"]]["done"] = True
        write(CONTAINED, held)
        journal.acted(call["id"], item["key"], "contained")
    before = {"id": call["id"], "addresses": wanted}
    return {"outcome": "succeeded", "before": before, "after": observe(item, call)}


def release(item: Json, call: Json) -> Json:
    """What another action contains stays, so an address is free once nothing holds it any more."""
    held = read(CONTAINED) or {}
    first = item["before"].get("id")
    ends = (
        [first] if first else [each for each in held if set(held[each]["addresses"]) & set(addresses(item))]
    )
    ends = [each for each in ends if each in held]
    if not ends:
        return {"outcome": "already", "after": observe(item, call)}
    left = {request: each for request, each in held.items() if request not in ends}
    _load(left)
    write(CONTAINED, left)
    journal.acted(call["id"], item["key"], "released from containment")
    return {"outcome": "succeeded", "after": observe(item, call)}


def active() -> bool:
    return bool(read(CONTAINED))


def why_not() -> str:
    try:
        rules.load(_text(["192.0.2.1", "2001:db8::1"]), only_check=True)
    except Refusal as refusal:
        return str(refusal) if refusal.code == "no_nft" else "Its nftables can't hold a set of addresses."
    return ""


def addresses(item: Json) -> list[str]:
    """As the kernel writes them. Raises Refusal where none is known: then nothing would be contained."""
    given = item["facts"].get("addresses") or item["before"].get("addresses") or []
    try:
        found = sorted({str(_one(each)) for each in given if each})
    except ValueError:
        raise Refusal("address", "That is no address of a device.") from None
    if not found or len(found) > MOST:
        raise Refusal("address", "No address of it is known, or too many are.")
    return found


def _one(given: Any) -> Any:
    """Raises ValueError. An IPv4 address in IPv6's clothes is the IPv4 address."""
    address = ipaddress.ip_address(str(given).partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _may(wanted: list[str], call: Json) -> None:
    """Raises Refusal for what would cut off ourselves, or more than one device."""
    found = [ipaddress.ip_address(each) for each in wanted]
    if any(each.is_loopback or each.is_multicast or each.is_unspecified for each in found):
        raise Refusal("address", "That is no address of one device.")
    if any(map(_is_own, found)):
        raise Refusal("own", "This host is itself the device that is to be contained.")
    trusted = rules.networks(call["controllers"])
    if any(each in network for each in found for network in trusted):
        raise Refusal("lockout", "The controller itself has that address.")


def _is_own(address: Any) -> bool:
    """Nobody may listen on an address that isn't this host's."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def _load(held: Json) -> None:
    wanted = sorted({address for each in held.values() for address in each["addresses"]})
    rules.load(_text(wanted))


def _text(wanted: list[str]) -> str:
    """The whole as one transaction; without addresses nothing of it is left."""
    lines = [f"{word} table inet {NAME}" for word in ("add", "delete")]
    if wanted:
        lines += [f"table inet {NAME} {{", *_sets(wanted), *_chains(), "}"]
    return "\n".join(lines) + "\n"


def _sets(wanted: list[str]) -> list[str]:
    lines = []
    for version, name in _SETS.items():
        found = [each for each in wanted if ipaddress.ip_address(each).version == version]
        inside = f"elements = {{ {', '.join(found)} }}" if found else ""
        lines.append(f"set {name} {{ type ipv{version}_addr; {inside} }}")
    return lines


def _chains() -> list[str]:
    into, out = (
        ["ip saddr @addresses4 drop", "ip6 saddr @addresses6 drop"],
        ["ip daddr @addresses4 drop", "ip6 daddr @addresses6 drop"],
    )
    lines: list[str] = []
    for hook, rest in (("input", into), ("output", out), ("forward", into + out)):
        head = f"type filter hook {hook} priority {rules.PRIORITY}; policy accept;"
        lines += [f"chain {hook} {{", head, *rest, "}"]
    return lines


def _live() -> set[str]:
    """What is dropped now, by the rules themselves: a table that somebody emptied drops nothing."""
    done = rules.nft("-j", "list", "table", "inet", NAME)
    if done.returncode:
        return set()
    found = json.loads(done.stdout)["nftables"]
    chains = {each["rule"]["chain"] for each in found if "rule" in each}
    if chains != {"input", "output", "forward"} or sum("rule" in each for each in found) != 8:
        return set()
    sets = [each["set"] for each in found if "set" in each]
    return {str(address) for each in sets for address in each.get("elem", [])}
