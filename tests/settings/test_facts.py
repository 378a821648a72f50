"""The settings of the installation as plain facts."""

import pytest

from actioncenter.settings import defaults, facts, matching
from actioncenter.settings.enums import FolderList, IndicatorEffect, IndicatorKind
from actioncenter.settings.models import DeviceGroup, FolderExclusion, FolderRule, Indicator, Safeguards

pytestmark = pytest.mark.django_db
FIGURES = Safeguards()


def test_folder_rules_are_the_documented_ones_until_there_are_rows() -> None:
    FolderRule.objects.all().delete()
    assert facts.folder_rules() == list(defaults.FOLDER_RULES)
    FolderRule.objects.create(which=FolderList.TEMP, pattern="/scratch/*", enabled=False, note="ours")
    assert facts.folder_rules() == [matching.FolderRule(FolderList.TEMP, "/scratch/*", False, "ours")]


def test_exclusions() -> None:
    FolderExclusion.objects.create(folder="/lab", extensions=["log"], file_names=["a.log"])
    assert matching.Exclusion("/lab", ("log",), ("a.log",)) in facts.exclusions(FIGURES)


def test_groups_carry_rank_and_rules_and_only_the_default_has_no_rank() -> None:
    DeviceGroup.objects.get_or_create(is_default=True, defaults={"name": "Ungrouped devices (default)"})
    group = DeviceGroup.objects.create(name="Laptops", rank=3)
    group.rules.create(property="name", operator="starts_with", value="lt-")
    found = facts.groups()
    assert matching.Group(group.pk, 3, [matching.GroupRule("name", "starts_with", "lt-")]) in found
    assert matching.match_group(matching.DeviceFacts(name="LT-1"), found).id == group.pk
    assert matching.match_group(matching.DeviceFacts(name="x"), found).rank is None


@pytest.mark.parametrize(
    ("kind", "stored", "actual", "loaded"),
    [
        (IndicatorKind.FILE_HASH, "AB" * 32, "ab" * 32, True),
        (IndicatorKind.FILE_HASH, "ab" * 32, "AB" * 32, True),
        (IndicatorKind.FILE_HASH, "cd" * 32, "ab" * 32, False),
        (IndicatorKind.IP, "192.0.2.0/24", "192.0.2.7", True),
        (IndicatorKind.URL, "evil.example", "https://www.evil.example/", True),
    ],
)
def test_indicators_that_could_concern_an_entity(
    kind: IndicatorKind, stored: str, actual: str, loaded: bool
) -> None:
    Indicator.objects.create(kind=kind, value=stored, effect=IndicatorEffect.BLOCK)
    Indicator.objects.create(kind=IndicatorKind.SENDER, value="x.example", effect=IndicatorEffect.ALLOW)
    found = facts.indicators([matching.EntityFacts({kind: [actual]})], FIGURES)
    assert [indicator.value for indicator in found] == ([stored] if loaded else [])
    assert facts.indicators([], FIGURES) == facts.indicators([matching.EntityFacts()], FIGURES) == []
