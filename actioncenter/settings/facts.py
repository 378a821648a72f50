"""The settings in force as the plain facts that `matching` takes. Reads the database, decides nothing."""

from collections.abc import Iterable

from django.db.models import Q

from actioncenter.settings import defaults, matching
from actioncenter.settings.enums import FolderList, IndicatorEffect, IndicatorKind
from actioncenter.settings.models import DeviceGroup, FolderExclusion, FolderRule, Indicator, Safeguards


def folder_rules() -> list[matching.FolderRule]:
    """The rows of both lists; the documented ones while the table was never filled."""
    rows = [
        matching.FolderRule(FolderList(row.which), row.pattern, row.enabled, row.note)
        for row in FolderRule.objects.all()
    ]
    return rows or list(defaults.FOLDER_RULES)


def exclusions(figures: Safeguards) -> list[matching.Exclusion]:
    """Those that are not past their review."""
    return [
        matching.Exclusion(row.folder, tuple(row.extensions), tuple(row.file_names))
        for row in FolderExclusion.objects.in_force(figures)
    ]


def groups() -> list[matching.Group]:
    return [
        matching.Group(
            group.pk,
            group.rank,
            [matching.GroupRule(rule.property, rule.operator, rule.value) for rule in group.rules.all()],
        )
        for group in DeviceGroup.objects.prefetch_related("rules")
    ]


def indicators(entities: Iterable[matching.EntityFacts], figures: Safeguards) -> list[matching.Indicator]:
    """Every indicator that could concern one of the entities: hashes by value, the rest by kind."""
    wanted = Q(pk__in=[])
    for entity in entities:
        for kind, values in entity.values.items():
            if kind == IndicatorKind.FILE_HASH:
                wanted |= Q(kind=kind, value__in={form for v in values for form in (v, v.lower(), v.upper())})
            elif values:
                wanted |= Q(kind=kind)
    return [
        matching.Indicator(
            IndicatorKind(row.kind), row.value, IndicatorEffect(row.effect), row.group_id, row.expires_at
        )
        for row in Indicator.objects.in_force(figures).filter(wanted)
    ]
