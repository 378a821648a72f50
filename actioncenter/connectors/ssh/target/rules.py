"""The firewall tables of an isolated host.

Two families on purpose. Tables of the family inet see what goes through the host's own IP stack, and nothing of
raw sockets and macvlan children; the netdev chains at each interface see everything that enters or leaves it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
from typing import Any, Iterable

from actioncenter.connectors.ssh.target.places import Refusal

NAME = "actioncenter"
FAMILIES = ("inet", "netdev")
SECONDS = 10
PRIORITY = -310  # before raw and connection tracking, so that what was established is cut as well
INTERFACE = re.compile(r"[A-Za-z0-9._-]{1,15}")
# A lease is asked for at the link's own broadcast address only: anywhere else it would be a way out.
_DHCP_OUT = ("ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept",
             "ip6 daddr ff02::1:2 udp sport 546 udp dport 547 accept")  # fmt: skip
_DHCP_IN = ("udp sport 67 udp dport 68 accept", "udp sport 547 udp dport 546 accept")
_NEIGHBOURS = (
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, nd-router-solicit } accept"
)


def networks(given: Iterable[Any]) -> list[Any]:
    """As addresses or networks, both families; raises Refusal."""
    try:
        return [ipaddress.ip_network(str(each)) for each in given]
    except ValueError:
        raise Refusal("address", "That is no address or network.") from None


def interfaces() -> list[str]:
    """Every interface but the loopback one."""
    names = sorted(name for name in os.listdir("/sys/class/net") if name != "lo")
    return [name for name in names if os.path.isdir("/sys/class/net/" + name)]


def _nameable() -> list[str]:
    """Raises Refusal for a name that no rule could hold."""
    names = interfaces()
    for name in names:
        if not INTERFACE.fullmatch(name):
            raise Refusal("interface", "An interface has a name that can't be isolated.")
    return names


def text(trusted: list[Any], allowed: list[Any], port: int) -> str:
    """The whole change as one transaction: ours as it was before goes, ours as wanted comes."""
    into = [*_for(trusted, "saddr", f"tcp dport {port} accept"), *_for(allowed, "saddr", "accept")]
    out = [*_for(trusted, "daddr", f"tcp sport {port} accept"), *_for(allowed, "daddr", "accept")]
    into += [*_DHCP_IN, _NEIGHBOURS]
    out += [*_DHCP_OUT, _NEIGHBOURS]
    inet = [
        *_chain("input", "hook input", ['iifname "lo" accept', *into]),
        *_chain("output", "hook output", ['oifname "lo" accept', *out]),
        *_chain("forward", "hook forward", []),
    ]
    netdev: list[str] = []
    for number, name in enumerate(_nameable()):
        arp = "meta protocol arp accept"
        netdev += _chain(f"in{number}", f'hook ingress device "{name}"', [arp, *into])
        netdev += _chain(f"out{number}", f'hook egress device "{name}"', [arp, *out])
    lines = removal()
    for family, chains in (("inet", inet), ("netdev", netdev)):
        lines += [f"table {family} {NAME} {{", *chains, "}"]
    return "\n".join(lines) + "\n"


def removal() -> list[str]:
    """Adding first makes the deletion hold whether or not the table was there."""
    return [f"{word} table {family} {NAME}" for family in FAMILIES for word in ("add", "delete")]


def _for(them: list[Any], side: str, then: str) -> list[str]:
    lines = []
    for version, family in ((4, "ip"), (6, "ip6")):
        found = ipaddress.collapse_addresses(each for each in them if each.version == version)
        names = ", ".join(str(each) for each in found)
        if names:
            lines.append(f"{family} {side} {{ {names} }} {then}")
    return lines


def _chain(name: str, hook: str, lines: list[str]) -> list[str]:
    head = f"type filter {hook} priority {PRIORITY}; policy drop;"
    return [f"chain {name} {{", head, *lines, "}"]


def load(ruleset: str, *, only_check: bool = False) -> None:
    """Raises Refusal with what nft said."""
    done = nft(*(["-c"] if only_check else []), "-f", "-", stdin=ruleset)
    if done.returncode:
        raise Refusal("nft", "nft refused: " + done.stderr.strip()[:300])


def nft(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Raises Refusal where there is none, so that nobody takes "can't look" for "nothing there"."""
    try:
        return subprocess.run(
            ["/usr/sbin/nft", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except OSError:
        raise Refusal("no_nft", "nftables isn't installed.") from None
    except subprocess.TimeoutExpired:
        raise Refusal("nft", "nft did not answer.") from None


def why_not() -> str:
    """Why this host can't be isolated; empty if it can."""
    try:
        load(text(networks(["127.0.0.1/32"]), [], 22), only_check=True)
    except Refusal as refusal:
        if refusal.code == "nft":
            return "Its kernel or nftables can't filter what enters and leaves each interface (Linux 5.16 or later)."
        return str(refusal)
    return ""
