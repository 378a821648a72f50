"""Django's admin over the same table: as it comes, and tuned as far as its options go.

Both show the columns our History shows, as bare values (labels would cost it more), order by the
primary key (their fastest order) and filter by small fixed choices instead of reading the
distinct values of a million rows. These are kindnesses: what is compared is how they page.
"""

from collections.abc import Iterable
from enum import IntEnum
from functools import cached_property
from typing import Any, Final

from django.contrib.admin import AdminSite, ModelAdmin, SimpleListFilter
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from actioncenter.actions.enums import ActionType, Decision, Execution, Source, TargetKind
from actioncenter.actions.models import Action
from actioncenter.actions.queries import PAGE_SIZE
from investigations.enums import Verdict


def _choices(column: str, members: type[IntEnum]) -> type[SimpleListFilter]:
    class Choices(SimpleListFilter):
        title = column
        parameter_name = column

        def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[Any, str]]:
            return [(member.value, member.name) for member in members]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{column: self.value()}) if self.value() else queryset

    return Choices


FILTERS: Final = (
    _choices("type", ActionType),
    _choices("decision", Decision),
    _choices("execution", Execution),
    _choices("verdict", Verdict),
    _choices("target_kind", TargetKind),
    _choices("source", Source),
    "group",
    "decided_by",
)


class DefaultAdmin(ModelAdmin):  # type: ignore[type-arg]  # not generic when it runs
    list_display = (
        "id", "type", "target_name", "on_name", "decision", "execution", "decided_by_name", "source",
        "history_at", "read_back_at", "group_name",
    )  # fmt: skip
    list_filter = FILTERS
    date_hierarchy = "created_at"
    search_fields = ("target_name", "on_name")
    list_per_page = PAGE_SIZE


class NoCount(Paginator):  # type: ignore[type-arg]
    """The usual trick against counting: claim a number that is large enough."""

    @cached_property
    def count(self) -> int:
        return 10**9


class TunedAdmin(DefaultAdmin):
    date_hierarchy = None  # type: ignore[assignment]  # Django's own default
    show_full_result_count = False
    paginator = NoCount


default_site: Final = AdminSite(name="bench_default")
tuned_site: Final = AdminSite(name="bench_tuned")
default_site.register(Action, DefaultAdmin)
tuned_site.register(Action, TunedAdmin)
