"""Canonical forms of what devices and mailboxes are known by, and which of them may be trusted to tell them apart."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping

from investigations.enums import Namespace, OsFamily
from investigations.intake.documents import Identity

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,62}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,62}[a-z0-9_])?)*")
_MAC = re.compile(r"[0-9a-f]{12}")
_NOBODY = re.compile(r"[0\-:{}]*")
_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "unknown", "none", "n/a"})
_FAMILIES = (
    (OsFamily.WINDOWS, ("windows",)),
    (OsFamily.MACOS, ("macos", "mac os", "osx", "os x", "darwin")),
    (
        OsFamily.LINUX,
        (
            "linux",
            "ubuntu",
            "debian",
            "centos",
            "red hat",
            "redhat",
            "rhel",
            "fedora",
            "suse",
            "alpine",
            "rocky",
            "alma",
        ),
    ),
)


def os_family(*words: str) -> OsFamily:
    text = " ".join(words).lower()
    return next(
        (family for family, names in _FAMILIES if any(name in text for name in names)), OsFamily.UNKNOWN
    )


def _opaque(value: str) -> str:
    """Ids of other systems: an id of zeros only means "none"."""
    return "" if _NOBODY.fullmatch(value) else value.strip("{}").lower()


def _name(value: str) -> str:
    value = value.rstrip(".").lower()
    return value if _HOST.fullmatch(value) and value not in _LOCAL_NAMES and not is_address(value) else ""


def _dns_name(value: str) -> str:
    name = _name(value)
    return name if "." in name else ""


def _host_name(value: str) -> str:
    return _name(value.split(".", 1)[0]) if _name(value) else ""


def _mac(value: str) -> str:
    digits = re.sub(r"[^0-9a-f]", "", value.lower())
    if not _MAC.fullmatch(digits) or digits in {"0" * 12, "f" * 12}:
        return ""
    return ":".join(digits[index : index + 2] for index in range(0, 12, 2))


def is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def address(value: str) -> str:
    """An IP address in canonical form, empty if it isn't one; zone and prefix length are dropped."""
    try:
        return str(ipaddress.ip_address(value.strip().split("%", 1)[0].split("/", 1)[0]))
    except ValueError:
        return ""


def _unicast(value: str) -> str:
    found = address(value)
    if not found:
        return ""
    ip = ipaddress.ip_address(found)
    return "" if ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast else found


def addresses(texts: Iterable[str]) -> tuple[str, ...]:
    """Those that others could reach the machine by, in canonical form and without doubles."""
    return tuple(dict.fromkeys(found for text in texts if (found := _unicast(text))))


def mail_address(value: str) -> str:
    """Lower case; empty unless it is one plain address."""
    value = value.strip().strip("<>").lower()
    local, sign, domain = value.rpartition("@")
    return value if sign and local and _name(domain) and not re.search(r"[\s<>,;@\x00-\x1f]", local) else ""


_CANONICAL: Mapping[Namespace, Callable[[str], str]] = {
    Namespace.HOST_KEY: str.strip,
    Namespace.DEFENDER_ID: _opaque,
    Namespace.ENTRA_ID: _opaque,
    Namespace.AGENT_ID: str.lower,
    Namespace.MAILBOX_GUID: _opaque,
    Namespace.SERIAL: _opaque,
    Namespace.MAC: _mac,
    Namespace.DNS_NAME: _dns_name,
    Namespace.HOST_NAME: _host_name,
    Namespace.MAIL_ADDRESS: mail_address,
    Namespace.UPN: mail_address,
    Namespace.IP_ADDRESS: _unicast,
}

Claim = tuple[Namespace, str]
IDENTITY_CAP = 512


def identities(claims: Iterable[Claim]) -> tuple[Identity, ...]:
    """Strongest first, without doubles and without what can't tell anything apart.

    An address is borrowed from one machine to the next, so it counts only where nothing else is known.
    """
    found = {
        (namespace, canonical)
        for namespace, value in claims
        if (canonical := _CANONICAL[namespace](value)) and len(canonical) <= IDENTITY_CAP
    }
    lasting = {identity for identity in found if identity[0] != Namespace.IP_ADDRESS}
    return tuple(sorted(lasting or found))
