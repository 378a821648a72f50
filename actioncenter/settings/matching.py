"""What the settings say about a path, a device or an entity. Plain facts in, no models."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from actioncenter.settings import paths
from actioncenter.settings.enums import (
    AutomationLevel,
    FolderClass,
    FolderList,
    IndicatorEffect,
    IndicatorKind,
)
from investigations.enums import OsFamily

# --- folder lists (domain §4.2)

LIST_OF_LEVEL: Mapping[AutomationLevel, FolderList] = {
    AutomationLevel.SEMI_CORE: FolderList.CORE,
    AutomationLevel.SEMI_NONTEMP: FolderList.TEMP,
}
"""The one list that a level consults; the others consult none."""

CLASS_OF_LIST: Mapping[FolderList, FolderClass] = {
    FolderList.CORE: FolderClass.CORE,
    FolderList.TEMP: FolderClass.TEMP,
}


@dataclass(frozen=True, slots=True)
class FolderRule:
    """One row of a folder list. Raises PatternError."""

    which: FolderList
    pattern: str
    enabled: bool = True
    note: str = ""

    def __post_init__(self) -> None:
        paths.check_pattern(self.pattern)


@dataclass(frozen=True, slots=True)
class Location:
    """`folder` is what the matching rule names, as the path writes it; empty where none matched."""

    folder_class: FolderClass
    folder: str = ""


def locate(
    path: str | None,
    level: AutomationLevel | None,
    rules: Iterable[FolderRule],
    *,
    file_like: bool,
    os_family: OsFamily = OsFamily.UNKNOWN,
) -> Location:
    """Classify a path by the list of the device's own level.

    `file_like` says that the entity must have a path: without one it is unresolvable, whereas a
    registry key or a process without an image has none by nature.
    """
    if not path:
        return Location(FolderClass.UNRESOLVABLE if file_like else FolderClass.NO_PATH)
    which = LIST_OF_LEVEL.get(level) if level is not None else None
    if which is None:
        return Location(FolderClass.OTHER)
    readings = _readings(path, which, os_family)
    patterns = [rule.pattern for rule in rules if rule.enabled and rule.which == which]
    unresolvable = None in readings
    for place in readings:
        found = paths.first_match(patterns, place, broad=which == FolderList.CORE) if place else None
        if place and found:
            return Location(CLASS_OF_LIST[which], paths.matched_folder(found, place))
    return Location(FolderClass.UNRESOLVABLE if unresolvable else FolderClass.OTHER)


def _readings(path: str, which: FolderList, os_family: OsFamily) -> list[paths.Place | None]:
    """Every way to read the path that counts: with the system unknown, caution reads it twice."""
    readings = [paths.normalise_path(path, os_family)]
    if which == FolderList.CORE and paths.also_on_windows(path, os_family):
        readings.append(paths.normalise_path(path, OsFamily.WINDOWS))
    return readings


def classify(
    path: str | None,
    level: AutomationLevel | None,
    rules: Iterable[FolderRule],
    *,
    file_like: bool,
    os_family: OsFamily = OsFamily.UNKNOWN,
) -> FolderClass:
    return locate(path, level, rules, file_like=file_like, os_family=os_family).folder_class


# --- automation folder exclusions (domain §7.3)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """The kinds that are given are combined with AND; no wildcards; nothing given excludes nothing."""

    folder: str = ""
    extensions: Sequence[str] = ()
    file_names: Sequence[str] = ()


def excluded(
    path: str | None, exclusions: Iterable[Exclusion], os_family: OsFamily = OsFamily.UNKNOWN
) -> bool:
    """Whether investigations ignore the path. One that can't be relied on is never excluded."""
    place = paths.normalise_path(path or "", os_family)
    return place is not None and any(_covers(exclusion, place) for exclusion in exclusions)


def _covers(exclusion: Exclusion, place: paths.Place) -> bool:
    name = paths.fold(place.text.rpartition(place.text[0])[2], posix=place.posix, broad=False)
    checks = []
    if exclusion.folder:
        shape = OsFamily.LINUX if exclusion.folder.startswith("/") else OsFamily.WINDOWS
        folder = paths.normalise_path(exclusion.folder, shape)
        checks.append(folder is not None and paths.is_inside(place, folder))
    if exclusion.extensions:
        endings = ["." + _folded(extension.lstrip("."), place) for extension in exclusion.extensions]
        checks.append(any(len(ending) > 1 and name.endswith(ending) for ending in endings))
    if exclusion.file_names:
        checks.append(name in {_folded(file_name, place) for file_name in exclusion.file_names})
    return bool(checks) and all(checks)


def _folded(text: str, place: paths.Place) -> str:
    return paths.fold(text.strip(), posix=place.posix, broad=False)


# --- device groups (domain §7.1)


class Property(StrEnum):
    NAME = "name"
    DOMAIN = "domain"
    TAG = "tag"
    OS = "os"


class Operator(StrEnum):
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"
    EQUALS = "equals"


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    name: str = ""
    domain: str = ""
    tags: Sequence[str] = ()
    os: str = ""

    def values(self, which: Property) -> Sequence[str]:
        single = {Property.NAME: self.name, Property.DOMAIN: self.domain, Property.OS: self.os}
        return self.tags if which == Property.TAG else (single[which],)


@dataclass(frozen=True, slots=True)
class GroupRule:
    """Raises ValueError for a property or operator that doesn't exist."""

    property: str
    operator: str
    value: str

    def __post_init__(self) -> None:
        Property(self.property)
        Operator(self.operator)


@dataclass(frozen=True, slots=True)
class Group:
    """`rank` is None for the default group only."""

    id: int
    rank: int | None
    rules: Sequence[GroupRule] = ()


def match_group(device: DeviceFacts, groups: Iterable[Group]) -> Group:
    """The single effective group: the best rank that matches, else the default group.

    Raises LookupError if there is no default group.
    """
    default: Group | None = None
    ranked: list[tuple[int, Group]] = []
    for group in groups:
        if group.rank is None:
            default = group
        else:
            ranked.append((group.rank, group))
    for _, group in sorted(ranked, key=lambda pair: pair[0]):
        if _group_matches(device, group):
            return group
    if default is None:
        raise LookupError("There is no default device group.")
    return default


def _group_matches(device: DeviceFacts, group: Group) -> bool:
    """OR inside a property, AND between properties; a group without rules matches nothing."""
    wanted = {Property(rule.property) for rule in group.rules}
    met = {
        Property(rule.property)
        for rule in group.rules
        if any(_compare(rule, value) for value in device.values(Property(rule.property)))
    }
    return bool(wanted) and wanted == met


def _compare(rule: GroupRule, actual: str) -> bool:
    actual, value = actual.casefold(), rule.value.strip().casefold()
    if not actual or not value:
        return False
    match Operator(rule.operator):
        case Operator.STARTS_WITH:
            return actual.startswith(value)
        case Operator.ENDS_WITH:
            return actual.endswith(value)
        case Operator.CONTAINS:
            return value in actual
        case Operator.EQUALS:
            return actual == value


# --- indicators (domain §7.3)


@dataclass(frozen=True, slots=True)
class Indicator:
    """`group_id` None applies everywhere; `expires_at` is aware."""

    kind: IndicatorKind
    value: str
    effect: IndicatorEffect
    group_id: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EntityFacts:
    """What an entity is known by: hashes, addresses, URLs, certificate thumbprints, senders."""

    values: Mapping[IndicatorKind, Sequence[str]] = field(default_factory=dict)
    group_id: int | None = None


_PRECEDENCE = (
    IndicatorEffect.AUDIT,
    IndicatorEffect.WARN,
    IndicatorEffect.BLOCK,
    IndicatorEffect.BLOCK_AND_REMEDIATE,
    IndicatorEffect.ALLOW,
)


def match_indicator(
    entity: EntityFacts, indicators: Iterable[Indicator], *, now: datetime
) -> Indicator | None:
    """The indicator that counts: Allow overrides every other, then the stricter."""
    found = [indicator for indicator in indicators if _applies(indicator, entity, now)]
    return max(found, key=lambda indicator: _PRECEDENCE.index(indicator.effect), default=None)


def _applies(indicator: Indicator, entity: EntityFacts, now: datetime) -> bool:
    if indicator.expires_at is not None and indicator.expires_at <= now:
        return False
    if indicator.group_id is not None and indicator.group_id != entity.group_id:
        return False
    return any(_same(indicator, value) for value in entity.values.get(indicator.kind, ()))


def _same(indicator: Indicator, actual: str) -> bool:
    wanted, actual = indicator.value.strip(), actual.strip()
    if not wanted or not actual:
        return False
    match indicator.kind:
        case IndicatorKind.FILE_HASH:
            return wanted.lower() == actual.lower()
        case IndicatorKind.CERTIFICATE:
            return _thumbprint(wanted) == _thumbprint(actual)
        case IndicatorKind.IP:
            return _same_address(wanted, actual)
        case IndicatorKind.URL:
            return _same_url(wanted, actual, with_subdomains=indicator.effect != IndicatorEffect.ALLOW)
        case IndicatorKind.SENDER:
            return actual.lower() == wanted.lower() or actual.lower().rpartition("@")[
                2
            ] == wanted.lower().lstrip("@")


def _thumbprint(value: str) -> str:
    return value.replace(":", "").replace(" ", "").lower()


def _same_address(wanted: str, actual: str) -> bool:
    """An address or a network in CIDR notation; IPv4 written as IPv6 counts as IPv4."""
    try:
        network = ipaddress.ip_network(wanted, strict=False)
        address = ipaddress.ip_address(actual)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address) in network


def _same_url(wanted: str, actual: str, *, with_subdomains: bool) -> bool:
    """A whole URL, or a bare domain. An allowed domain is only itself: anybody may own a subdomain."""
    if "://" in wanted:
        return _canonical_url(wanted) is not None and _canonical_url(wanted) == _canonical_url(actual)
    domain = wanted.lower().strip(".")
    host = _host(actual)
    return host == domain or (with_subdomains and host.endswith("." + domain))


def _host(url: str) -> str:
    try:
        return (urlsplit(url if "://" in url else f"//{url}").hostname or "").strip(".").lower()
    except ValueError:
        return ""


def _canonical_url(url: str) -> tuple[str, str, str, str] | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return (parts.scheme.lower(), parts.netloc.lower(), parts.path or "/", parts.query)
