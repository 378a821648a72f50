"""The filters of the log and of the log of views. What is wrong with a value is said and the value ignored."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone

from actioncenter.accounts.models import User
from actioncenter.actions.filters import Select
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.words import words_of
from actioncenter.auditor import words
from actioncenter.auditor.finding import Wanted
from actioncenter.auditor.naming import groups_ever
from actioncenter.web.narrowing import Narrowing

ANY: Final = "any"
PEOPLE_LISTED: Final = 500
LONGEST: Final = 200
PERIODS: Final[Mapping[str, timedelta]] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
    "half": timedelta(days=183),
}
TIMES: Final = [
    ("hour", "past hour"),
    ("day", "past day"),
    ("week", "past week"),
    ("month", "past 30 days"),
    ("half", "past 6 months"),
]
KINDS: Final = sorted(
    ((kind.value, words.kind_label(kind)) for kind in Kind), key=lambda choice: choice[1].lower()
)
REFUSED: Final = [("yes", "refused"), ("no", "not refused")]
PAGES: Final = [
    ("action", "Actions"),
    ("investigation", "Investigations"),
    ("audit", "Audit pages"),
    ("file", "Files taken"),
    ("list", "Lists"),
    ("settings", "Settings"),
]


def _choice(label: str, choices: Iterable[tuple[str, str]]) -> Any:
    return django_filters.ChoiceFilter(label=label, choices=list(choices), empty_label=ANY, widget=Select)


class SearchField(forms.CharField):
    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if text and not words_of(text):
            raise ValidationError("A search needs letters or digits.")
        return text


class Search(django_filters.Filter):  # type: ignore[misc]  # the library ships no types
    field_class = SearchField


class SubjectField(forms.CharField):
    """A-1042, INV-7, or as the log names it."""

    def clean(self, value: Any) -> str:
        return words.subject_of(super().clean(value))


class Subject(django_filters.Filter):  # type: ignore[misc]
    field_class = SubjectField


class MonthField(forms.CharField):
    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if text:
            month_of(text)
        return text


class Month(django_filters.Filter):  # type: ignore[misc]
    field_class = MonthField


def month_of(text: str) -> tuple[datetime, datetime]:
    """`2026-11`: its beginning and the next one's, in UTC. Raises ValidationError."""
    try:
        begin = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        return begin, (begin + timedelta(days=32)).replace(day=1)
    except (ValueError, OverflowError) as error:
        raise ValidationError("That is no month such as 2026-11.") from error


class LogFilter(Narrowing):
    linked: Sequence[str] = ()
    """Set by links from other pages; they have a chip but no field."""

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, queryset=User.objects.none())
        self.filters["actor"].extra["choices"] = _actors(data.get("actor", ""))
        self.prepare()
        self.form.is_valid()
        for name in self.linked:
            self.form.fields.pop(name)

    def prepare(self) -> None:
        """Choices that only the database knows."""

    def worded(self, name: str, value: str) -> str:
        return words.subject_label(value) if name == "subject" else super().worded(name, value)

    def since(self) -> datetime | None:
        period = self.chosen.get("since")
        return timezone.now() - PERIODS[period] if period else None


class EventFilter(LogFilter):
    linked = ("month",)

    q = Search(label="Search", min_length=3, max_length=LONGEST)
    kind = _choice("Event", KINDS)
    actor = _choice("By", [])
    via = _choice("Came in", words.VIAS.items())
    subject = Subject(label="About", max_length=LONGEST)
    area = _choice("Area", [(str(int(area)), label) for area, label in words.AREAS.items()])
    group = _choice("Group", [])
    refused = _choice("Refused", REFUSED)
    since = _choice("Time", TIMES)
    month = Month(label="Month", max_length=7)

    def prepare(self) -> None:
        self.filters["group"].extra["choices"] = [(str(pk), name) for pk, name in groups_ever()]

    def wanted(self) -> Wanted:
        chosen = self.chosen
        begin, end = month_of(chosen["month"]) if "month" in chosen else (None, None)
        since = [moment for moment in (begin, self.since()) if moment]
        return Wanted(
            stream=chosen.get("subject", ""),
            actor=chosen.get("actor", ""),
            kinds=_kinds(chosen.get("kind", ""), chosen.get("refused", "")),
            since=max(since, default=None),
            until=end,
            via=chosen.get("via", ""),
            area=int(chosen["area"]) if "area" in chosen else None,
            group=int(chosen["group"]) if "group" in chosen else None,
            not_kinds=words.REFUSED if chosen.get("refused") == "no" else frozenset(),
            words=tuple(words_of(chosen.get("q", ""))),
        )


def _kinds(kind: str, refused: str) -> tuple[Kind, ...] | None:
    """None for whatever kind."""
    kinds = {Kind(kind)} if kind else set(Kind)
    if refused == "yes":
        kinds &= words.REFUSED
    return tuple(sorted(kinds)) if kind or refused == "yes" else None


class ViewFilter(LogFilter):
    actor = _choice("Who", [])
    pages = _choice("Looked at", PAGES)
    subject = Subject(label="About", max_length=LONGEST)
    since = _choice("Time", TIMES)


def _actors(chosen: str) -> list[tuple[str, str]]:
    """People, and what else acts; whoever is chosen is among them even where the account is gone."""
    people = User.objects.order_by("display_name", "username").values_list("pk", "display_name", "username")
    listed = [
        (Actor.automation().ref, "Automation"),
        *((f"user:{pk}", name or username) for pk, name, username in people[:PEOPLE_LISTED]),
    ]
    known = {ref for ref, _ in listed}
    return listed if not chosen or chosen in known else [*listed, (chosen, chosen[:LONGEST])]
