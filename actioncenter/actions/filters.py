"""The filters of both tabs. What is wrong with a value is said and the value ignored."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

import django_filters
from django import forms
from django.http import QueryDict
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from actioncenter.accounts.models import User
from actioncenter.actions import words
from actioncenter.actions.catalogue import BY_CODE, CATALOGUE
from actioncenter.actions.enums import Source, TargetKind
from actioncenter.actions.queries import Tab, Viewer
from actioncenter.actions.queries.criteria import AUTOMATION, NOBODY, Criteria
from actioncenter.settings.models import DeviceGroup
from actioncenter.web.load import LARGEST
from actioncenter.web.narrowing import Narrowing
from investigations.enums import Verdict

SHORTEST_SEARCH: Final = 3
PEOPLE_LISTED: Final = 500
SELECTED: Final = SafeString(" selected")
ANY: Final = "any"
LINKED: Final = ("investigation", "device", "mailbox", "approval", "assigned")
"""Set by links from other pages; they have a chip but no field."""
RANGE: Final = ("after", "before", "zone")
"""A range of times in the zone that the address names; in a form of their own."""
LOCAL: Final = "%Y-%m-%dT%H:%M"
YEARS: Final = range(2000, 2101)

TYPES: Final = sorted(
    ((entry.code, entry.short) for entry in CATALOGUE.values()), key=lambda choice: choice[1]
)
VERDICT_CODES: Final = {code: verdict for verdict, (code, _) in words.VERDICTS.items()}
ENTITY_CODES: Final = {kind.name.lower(): kind for kind in TargetKind}
TARGET_STATE_CODES: Final = {code: state for state, (code, _) in words.TARGET_STATES.items()}
SOURCE_CODES: Final = {source.name.lower(): source for source in Source}
MEANINGS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "type": BY_CODE.__getitem__,
    "verdict": VERDICT_CODES.__getitem__,
    "entity": ENTITY_CODES.__getitem__,
    "source": SOURCE_CODES.__getitem__,
    "group": int,
    "by": lambda value: int(value) if value.isdigit() else value,
    "investigation": int,
    "device": int,
    "mailbox": int,
    "assigned": int,
    "approval": lambda value: value,
}
"""From the codes in an address to what the columns hold; the rest is text."""
PERIODS: Final = [
    ("day", "past day"),
    ("week", "past week"),
    ("month", "past 30 days"),
    ("half", "past 6 months"),
]

REPORT_SPANS: Final[Mapping[str, timedelta]] = {
    "week": timedelta(days=7),
    "month": timedelta(days=30),
    "quarter": timedelta(days=91),
    "half": timedelta(days=183),
    "year": timedelta(days=365),
}
REPORT_PERIODS: Final = [
    ("week", "past week"),
    ("month", "past 30 days"),
    ("quarter", "past 3 months"),
    ("half", "past 6 months"),
    ("year", "past year"),
]
DEFAULT_PERIOD: Final = "month"
DAYS: Final = ("first", "last")
LONGEST_REPORT: Final = timedelta(days=366, hours=1)
"""A leap year, on whose days clocks were changed."""
SOONEST: Final = [("hour", "within an hour"), ("shift", "within 8 hours"), ("day", "within a day")]


class Select(forms.Select):
    """The same element without a template per option; a list has hundreds of them."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        options = _options(tuple(self.choices), "" if value is None else str(value))
        return format_html(
            '<select name="{}" id="{}">{}</select>', name, (attrs or {}).get("id", ""), options
        )


@lru_cache(maxsize=256)
def _options(choices: tuple[tuple[Any, str], ...], chosen: str) -> SafeString:
    # Hundreds, the same for everybody until somebody joins.
    return format_html_join(
        "",
        '<option value="{}"{}>{}</option>',
        ((key, SELECTED if str(key) == chosen else "", label) for key, label in choices),
    )


def _choice(label: str, choices: Iterable[tuple[str, str]]) -> Any:
    return django_filters.ChoiceFilter(label=label, choices=_shared(choices), empty_label=ANY, widget=Select)


def _shared(choices: Iterable[tuple[str, str]]) -> Callable[[], Sequence[tuple[str, str]]]:
    """As a function: every form copies a list of choices deeply, twice."""
    fixed = tuple(choices)
    return lambda: fixed


class LocalMoment(forms.CharField):
    """A day and a time as clocks somewhere show them, which an address can carry."""

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if text:
            try:
                moment = datetime.strptime(text, LOCAL)  # noqa: DTZ007 - its zone stands beside it
            except ValueError:
                raise forms.ValidationError("Write it as 2026-11-30T08:00.") from None
            if moment.year not in YEARS:
                raise forms.ValidationError("Choose a year of this century.")
        return text


class ZoneName(forms.CharField):
    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if text and text not in available_timezones():
            raise forms.ValidationError("Name a zone such as Europe/Oslo.")
        return text


class MomentOf(django_filters.Filter):  # type: ignore[misc]  # the library ships no types
    field_class = LocalMoment


class ZoneOf(django_filters.Filter):  # type: ignore[misc]  # the library ships no types
    field_class = ZoneName


class NumberOf(django_filters.Filter):  # type: ignore[misc]  # the library ships no types
    """A number in an address, within what a key can hold."""

    field_class = forms.IntegerField

    def __init__(self, label: str) -> None:
        super().__init__(label=label, min_value=1, max_value=LARGEST)


class DayField(forms.DateField):
    def clean(self, value: Any) -> date | None:
        try:
            day: date | None = super().clean(value)
        except forms.ValidationError:
            raise forms.ValidationError("Write it as 2026-11-30.") from None
        if day is not None and day.year not in YEARS:
            raise forms.ValidationError("Choose a year of this century.")
        return day


class DayOf(django_filters.Filter):  # type: ignore[misc]  # the library ships no types
    field_class = DayField


class ActionFilter(Narrowing):
    """Cleans what stands in an address into criteria for actions.queries."""

    q = django_filters.CharFilter(label="Search", min_length=SHORTEST_SEARCH, max_length=200)
    type = _choice("Action", TYPES)
    result = _choice("Result", words.RESULTS.items())
    verdict = _choice("Verdict", [words.VERDICTS[verdict] for verdict in reversed(Verdict)])
    group = _choice("Group", [])
    entity = _choice("Entity", [(code, words.ENTITIES[kind]) for code, kind in ENTITY_CODES.items()])
    by = _choice("Decided by", [])
    source = _choice("Source", [(code, words.SOURCES[source]) for code, source in SOURCE_CODES.items()])
    since = _choice("Time", PERIODS)
    due = _choice("Expires", SOONEST)
    investigation = NumberOf("Investigation")
    device = NumberOf("Device")
    mailbox = NumberOf("Mailbox")
    approval = django_filters.UUIDFilter(label="Approval")
    assigned = NumberOf("Handed to")
    after = MomentOf(label="From", max_length=16)
    before = MomentOf(label="To", max_length=16)
    zone = ZoneOf(label="Zone", max_length=64)

    def __init__(self, data: QueryDict, *, tab: Tab, viewer: Viewer) -> None:
        super().__init__(data, queryset=User.objects.none())
        if tab is Tab.PENDING:
            del self.filters["result"], self.filters["by"]
        else:
            del self.filters["due"]
            self.filters["by"].extra["choices"] = _shared(viewer.once("people", lambda: _people(viewer)))
        self.filters["group"].extra["choices"] = _shared(viewer.once("groups", lambda: _groups(viewer)))
        self.form.is_valid()
        self.viewer = viewer
        self.linked = {name: self.form.fields.pop(name) for name in (*LINKED, *RANGE)}

    @property
    def criteria(self) -> Criteria:
        meant = {name: MEANINGS.get(name, str)(value) for name, value in self.chosen.items()}
        zone = ZoneInfo(meant.pop("zone", self.viewer.zone.key))
        for name in RANGE[:2]:
            if name in meant:
                local = datetime.strptime(meant[name], LOCAL).replace(tzinfo=zone)
                meant[name] = local.astimezone(UTC)
        return meant

    def shown(self, name: str) -> str:
        value = self.data.get(name, "")
        if name == "investigation":
            return f"INV-{value}"
        if name in ("after", "before"):
            return str(value).replace("T", " ")
        if name == "assigned" and value == str(self.viewer.user.pk):
            return "me"
        return self.worded(name, value)


class TargetFilter(Narrowing):
    """Targets of one action: by name or place, and by what became of them."""

    q = django_filters.CharFilter(label="Search", max_length=200)
    state = _choice("Result", words.TARGET_STATES.values())

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, queryset=User.objects.none())
        self.form.is_valid()
        # Chosen by links that say how many there are.
        del self.form.fields["state"]


class ReportFilter(Narrowing):
    """What a report counts: a rolling period or whole days, and one group or all of them."""

    since = _choice("Time", REPORT_PERIODS)
    first = DayOf(label="First day")
    last = DayOf(label="Last day")
    zone = ZoneOf(label="Zone", max_length=64)
    group = _choice("Group", [])

    def __init__(self, data: QueryDict, *, viewer: Viewer) -> None:
        data = data.copy()
        if data.get("since") or not any(data.get(name) for name in DAYS):
            # A period that is chosen takes the place of days, and there always is one of them.
            data["since"] = data.get("since") or DEFAULT_PERIOD
            for name in (*DAYS, "zone"):
                data.pop(name, None)
        super().__init__(data, queryset=User.objects.none())
        self.filters["group"].extra["choices"] = _shared(viewer.once("groups", lambda: _groups(viewer)))
        self.form.is_valid()
        self.viewer = viewer
        self._check_days()

    @property
    def period(self) -> tuple[datetime, datetime]:
        """Its first moment, and the one that is no longer in it."""
        chosen, now = self.chosen, self.viewer.now
        if not any(name in chosen for name in DAYS):
            return now - REPORT_SPANS[chosen.get("since", DEFAULT_PERIOD)], now
        zone = self.zone_shown
        last: date = chosen.get("last") or now.astimezone(zone).date()
        first: date = chosen.get("first") or last - REPORT_SPANS[DEFAULT_PERIOD] + timedelta(days=1)
        begin, end = (datetime.combine(day, time(), zone) for day in (first, last + timedelta(days=1)))
        return begin.astimezone(UTC), end.astimezone(UTC)

    @property
    def zone_shown(self) -> ZoneInfo:
        """In which days begin and end, and in which the report speaks of times."""
        return ZoneInfo(self.chosen.get("zone", self.viewer.zone.key))

    def _check_days(self) -> None:
        """Days that are no period are said to be none, like a value that is none."""
        since, until = self.period
        wrong = None
        if since >= min(until, self.viewer.now):
            wrong = ("first", "It has to lie before today and not after the last day.")
        elif until - since > LONGEST_REPORT:
            wrong = ("first", "A report covers a year at most.")
        if wrong is not None:
            name = wrong[0] if "first" in self.chosen else "last"
            self.form.add_error(name, wrong[1])
            for day in DAYS:
                self.form.cleaned_data.pop(day, None)


def _groups(viewer: Viewer) -> list[tuple[str, str]]:
    rows = DeviceGroup.objects.all()
    if viewer.scope.groups is not None:
        rows = rows.filter(pk__in=viewer.scope.groups)
    return [(str(pk), name) for pk, name in rows.values_list("pk", "name")]


def _people(viewer: Viewer) -> list[tuple[str, str]]:
    """Automation and oneself first, then everybody."""
    people = User.objects.exclude(pk=viewer.user.pk).order_by("display_name", "username")
    names = people.values_list("pk", "display_name", "username")[:PEOPLE_LISTED]
    return [
        (AUTOMATION, "Automation"),
        (NOBODY, "Nobody"),
        (str(viewer.user.pk), f"{viewer.user.shown_name} (you)"),
        *((str(pk), shown or username) for pk, shown, username in names),
    ]
