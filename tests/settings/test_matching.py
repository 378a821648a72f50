"""Exclusions, device groups and indicators."""

from datetime import UTC, datetime, timedelta

import pytest

from actioncenter.settings import matching
from actioncenter.settings.enums import IndicatorEffect, IndicatorKind
from actioncenter.settings.matching import DeviceFacts, EntityFacts, Exclusion, Group, GroupRule, Indicator
from investigations.enums import OsFamily

WINDOWS, LINUX = OsFamily.WINDOWS, OsFamily.LINUX
NOW = datetime(2026, 11, 23, 14, 31, tzinfo=UTC)


LOGS = Exclusion(folder=r"C:\Tools", extensions=("log", ".tmp"), file_names=("a.log", "b.txt"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (r"C:\Tools\a.log", True),
        (r"c:\tools\sub\A.LOG", True),
        (r"C:\Tools\b.txt", False),
        (r"C:\Tools\other.log", False),
        (r"C:\Other\a.log", False),
        (r"D:\Tools\a.log", False),
        (r"\Tools\a.log", False),
        (r"C:\Toolshed\a.log", False),
        (r"C:\Tools\..\Other\a.log", False),
        (r"C:\Tools\x.exe:a.log", False),
        (None, False),
    ],
)
def test_assertion_22_an_exclusion_with_extension_and_name_excludes_only_those(
    path: str | None, expected: bool
) -> None:
    assert matching.excluded(path, [LOGS], WINDOWS) is expected


@pytest.mark.parametrize(
    ("exclusion", "path", "expected"),
    [
        (Exclusion(folder=r"C:\Tools"), r"C:\Tools\deep\er\x.exe", True),
        (Exclusion(folder="C:\\Tools\\"), r"C:\Tools\x.exe", True),
        (Exclusion(folder=r"\Tools"), r"D:\Tools\x.exe", True),
        (Exclusion(folder=r"C:\*"), r"C:\Tools\x.exe", False),
        (Exclusion(folder="C:\\"), r"C:\Tools\x.exe", False),
        (Exclusion(extensions=("tar.gz",)), r"C:\x\a.tar.gz", True),
        (Exclusion(extensions=("gz",)), r"C:\x\agz", False),
        (Exclusion(extensions=("",)), r"C:\x\a.gz", False),
        (Exclusion(file_names=("x.exe",)), r"C:\y\X.exe", True),
        (Exclusion(), r"C:\y\x.exe", False),
    ],
)
def test_exclusions(exclusion: Exclusion, path: str, expected: bool) -> None:
    assert matching.excluded(path, [exclusion], WINDOWS) is expected


def test_exclusions_on_posix_know_upper_case() -> None:
    tools = [Exclusion(folder="/opt/tools")]
    assert matching.excluded("/opt/tools/x", tools, LINUX)
    assert not matching.excluded("/opt/Tools/x", tools, LINUX)


# --- groups

DEFAULT = Group(1, None)
LAPTOPS = Group(2, 2, [GroupRule("name", "starts_with", "FIN-"), GroupRule("name", "ends_with", "-lt"), GroupRule("os", "contains", "windows")])  # fmt: skip
TAGGED = Group(5, 5, [GroupRule("tag", "equals", "finance"), GroupRule("domain", "equals", "corp.example")])


def group_of(device: DeviceFacts, *groups: Group) -> int:
    return matching.match_group(device, groups).id


def test_assertion_08_the_better_rank_wins_and_swapping_ranks_swaps_membership() -> None:
    device = DeviceFacts(name="fin-0231", domain="corp.example", tags=["vip", "Finance"], os="Windows11")
    assert group_of(device, TAGGED, DEFAULT, LAPTOPS) == 2
    swapped = Group(2, 5, LAPTOPS.rules), Group(5, 2, TAGGED.rules)
    assert group_of(device, *swapped, DEFAULT) == 5


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (DeviceFacts(name="FIN-1", os="Windows11"), 2),
        (DeviceFacts(name="x-LT", os="windows server 2022"), 2),
        (DeviceFacts(name="FIN-1", os="Linux"), 1),
        (DeviceFacts(name="FIN-1"), 1),
        (DeviceFacts(tags=["finance"], domain="CORP.example"), 5),
        (DeviceFacts(tags=["finance"], domain="corp.example.org"), 1),
        (DeviceFacts(tags=["finances"], domain="corp.example"), 1),
        (DeviceFacts(), 1),
    ],
)
def test_or_inside_a_property_and_between_properties(device: DeviceFacts, expected: int) -> None:
    assert group_of(device, LAPTOPS, TAGGED, DEFAULT) == expected


@pytest.mark.parametrize("operator", matching.Operator)
def test_an_empty_value_or_no_rule_matches_nothing(operator: str) -> None:
    empty = Group(3, 1, [GroupRule("name", operator, " ")]), Group(4, 2)
    assert group_of(DeviceFacts(name="x"), *empty, DEFAULT) == 1


def test_without_a_default_group_nothing_is_guessed() -> None:
    with pytest.raises(LookupError):
        matching.match_group(DeviceFacts(), [LAPTOPS])


@pytest.mark.parametrize(("name", "operator"), [("colour", "equals"), ("name", "like")])
def test_unknown_rules_are_refused(name: str, operator: str) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        GroupRule(name, operator, "x")


# --- indicators

HASH = "ab" * 32


def effect_of(
    kind: IndicatorKind, actual: str, *indicators: Indicator, group: int | None = None
) -> str | None:
    found = matching.match_indicator(EntityFacts({kind: [actual]}, group), indicators, now=NOW)
    return found.effect.name.lower() if found else None


@pytest.mark.parametrize(
    ("kind", "wanted", "actual", "allow", "block"),
    [
        (IndicatorKind.FILE_HASH, HASH.upper(), HASH, True, True),
        (IndicatorKind.FILE_HASH, HASH, HASH[:-1] + "c", False, False),
        (IndicatorKind.CERTIFICATE, "AB:CD", "abcd", True, True),
        (IndicatorKind.IP, "192.0.2.0/24", "192.0.2.77", True, True),
        (IndicatorKind.IP, "192.0.2.1", "::ffff:192.0.2.1", True, True),
        (IndicatorKind.IP, "192.0.2.1", "192.0.2.1.evil", False, False),
        (IndicatorKind.URL, "evil.example", "https://EVIL.example./x?y", True, True),
        (IndicatorKind.URL, "evil.example", "https://www.evil.example/x", False, True),
        (IndicatorKind.URL, "evil.example", "https://notevil.example/x", False, False),
        (IndicatorKind.URL, "good.example", "https://good.example@evil.example/", False, False),
        (IndicatorKind.URL, "https://a.example/x", "HTTPS://A.example/x", True, True),
        (IndicatorKind.URL, "https://a.example/x", "https://a.example/x/y", False, False),
        (IndicatorKind.URL, "a.example", "http://[broken", False, False),
        (IndicatorKind.SENDER, "@evil.example", "Bo@Evil.example", True, True),
        (IndicatorKind.SENDER, "bo@evil.example", "jo@evil.example", False, False),
    ],
)
def test_indicator_values(kind: IndicatorKind, wanted: str, actual: str, allow: bool, block: bool) -> None:
    assert (effect_of(kind, actual, Indicator(kind, wanted, IndicatorEffect.ALLOW)) is not None) is allow
    assert (effect_of(kind, actual, Indicator(kind, wanted, IndicatorEffect.BLOCK)) is not None) is block


def file_indicator(
    effect: IndicatorEffect, group: int | None = None, minutes: int | None = None
) -> Indicator:
    expires = None if minutes is None else NOW + timedelta(minutes=minutes)
    return Indicator(IndicatorKind.FILE_HASH, HASH, effect, group, expires)


def test_allow_overrides_and_then_the_stricter_counts() -> None:
    audit, block, allow = map(
        file_indicator, [IndicatorEffect.AUDIT, IndicatorEffect.BLOCK, IndicatorEffect.ALLOW]
    )
    assert effect_of(IndicatorKind.FILE_HASH, HASH, audit, block) == "block"
    assert effect_of(IndicatorKind.FILE_HASH, HASH, allow, block, audit) == "allow"
    assert effect_of(IndicatorKind.FILE_HASH, HASH) is None


def test_expiry_and_group_scope() -> None:
    block = IndicatorEffect.BLOCK
    assert effect_of(IndicatorKind.FILE_HASH, HASH, file_indicator(block, minutes=0)) is None
    assert effect_of(IndicatorKind.FILE_HASH, HASH, file_indicator(block, minutes=1)) == "block"
    assert effect_of(IndicatorKind.FILE_HASH, HASH, file_indicator(block, group=7)) is None
    assert effect_of(IndicatorKind.FILE_HASH, HASH, file_indicator(block, group=7), group=8) is None
    assert effect_of(IndicatorKind.FILE_HASH, HASH, file_indicator(block, group=7), group=7) == "block"
