"""The filters of the list of investigations. What is wrong with a value is said and the value ignored."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from actioncenter.settings.access import Scope
from actioncenter.settings.models import DeviceGroup
from actioncenter.web.narrowing import Narrowing
from investigations import words
from investigations.enums import ACTIVE_STATES, IsolationState
from investigations.models import Device, DeviceIdentity, Investigation

ANY: Final = "any"
LABELLED: Final = re.compile(r"INV-?(\d{1,18})", re.IGNORECASE)
SOURCES_LISTED: Final = 100
STATUSES: Final = [
    ("active", "Running"),
    ("waiting", "Pending action"),
    ("remediated", "Remediated"),
    ("partly", "Partially done"),
    ("clean", "No threats found"),
    ("failed", "Failed"),
    ("stopped", "Terminated"),
]
SEVERITY_CODES: Final = {code: severity for severity, (code, _) in words.SEVERITIES.items()}
DEVICE_STATES: Final = [
    ("isolated", "Isolated"),
    ("restricted", "Restricted"),
    ("contained", "Contained"),
    ("critical", "Critical"),
    ("offboarded", "Offboarded"),
]
DEVICE_STATE: Final[Mapping[str, Q]] = {
    "isolated": ~Q(isolation=IsolationState.NONE),
    "restricted": Q(execution_restricted=True),
    "contained": Q(contained=True),
    "critical": Q(critical=True) | Q(group__critical=True),
    "offboarded": Q(offboarded=True),
}
EVER: Final = "ever"
DEFAULT_PERIOD: Final = timedelta(days=7)
PERIODS: Final[Mapping[str, timedelta]] = {
    "day": timedelta(days=1),
    "week": DEFAULT_PERIOD,
    "month": timedelta(days=30),
    "half": timedelta(days=183),
}
TIMES: Final = [
    ("day", "past day"),
    ("week", "past week"),
    ("month", "past 30 days"),
    ("half", "past 6 months"),
    (EVER, "any time"),
]


def _choice(label: str, choices: Iterable[tuple[str, str]], *, empty: str = ANY, **more: Any) -> Any:
    return django_filters.ChoiceFilter(label=label, choices=list(choices), empty_label=empty, **more)


class SearchField(django_filters.CharFilter):  # type: ignore[misc]  # the library ships no types
    field_class = forms.CharField


class InvestigationFilter(Narrowing):
    """`narrow` applies what is valid, and the period that holds when none is chosen."""

    q = SearchField(label="Search", min_length=3, max_length=200)
    status = _choice("Status", STATUSES)
    severity = _choice("Severity", words.SEVERITIES.values())
    source = _choice("Detected by", [])
    group = _choice("Group", [])
    alert = SearchField(label="Alert", min_length=3, max_length=200)
    since = _choice("Time", TIMES, empty="past week or open")

    def __init__(self, data: QueryDict, *, rows: QuerySet[Investigation], scope: Scope) -> None:
        super().__init__(data, queryset=Investigation.objects.none())
        self.filters["source"].extra["choices"] = _sources(rows)
        self.filters["group"].extra["choices"] = _groups(scope)
        self.form.is_valid()

    def narrow(self, rows: QuerySet[Investigation]) -> QuerySet[Investigation]:
        chosen = self.chosen
        for name, value in chosen.items():
            rows = rows.filter(NARROWING[name](value))
        if "since" not in chosen:
            recent = Q(changed_at__gte=timezone.now() - DEFAULT_PERIOD)
            rows = rows.filter(recent | Q(state__in=[state.value for state in ACTIVE_STATES]))
        return rows


class DeviceFilter(Narrowing):
    """Devices by name, address or identity, by group, and by what they are."""

    q = SearchField(label="Search", min_length=2, max_length=200)
    group = _choice("Group", [])
    state = _choice("State", DEVICE_STATES)

    def __init__(self, data: QueryDict, *, scope: Scope) -> None:
        super().__init__(data, queryset=Device.objects.none())
        self.filters["group"].extra["choices"] = _groups(scope)
        self.form.is_valid()

    def narrow(self, rows: QuerySet[Device]) -> QuerySet[Device]:
        for name, value in self.chosen.items():
            rows = rows.filter(DEVICE_NARROWING[name](value))
        return rows


def _device(text: str) -> Q:
    identities = DeviceIdentity.objects.filter(value__iexact=text).values("device")
    return Q(name__icontains=text) | Q(dns_name__icontains=text) | Q(pk__in=identities)


def _sources(rows: QuerySet[Investigation]) -> list[tuple[str, str]]:
    names = (
        rows.exclude(detection_source="")
        .order_by("detection_source")
        .values_list("detection_source", flat=True)
    )
    return [(name, name) for name in names.distinct()[:SOURCES_LISTED]]


def _groups(scope: Scope) -> list[tuple[str, str]]:
    rows = DeviceGroup.objects.all()
    if scope.groups is not None:
        rows = rows.filter(pk__in=scope.groups)
    return [(str(pk), name) for pk, name in rows.values_list("pk", "name")]


def _search(text: str) -> Q:
    """Titles, names of devices and addresses of mailboxes; a number when it is one."""
    number = LABELLED.fullmatch(text)
    if number:
        return Q(pk=int(number[1]))
    in_evidence = Investigation.objects.filter(
        Q(evidence__device__name__icontains=text) | Q(evidence__mailbox__address__icontains=text)
    )
    on_devices = Investigation.objects.filter(devices__name__icontains=text)
    # Sub-queries, because joins would give an investigation once per device.
    return Q(title__icontains=text) | Q(pk__in=in_evidence.values("pk")) | Q(pk__in=on_devices.values("pk"))


def _by_alert(text: str) -> Q:
    return Q(pk__in=Investigation.objects.filter(alerts__title__icontains=text).values("pk"))


def _since(value: str) -> Q:
    return Q() if value == EVER else Q(changed_at__gte=timezone.now() - PERIODS[value])


def _status(code: str) -> Q:
    return Q(state__in=[state.value for state, (other, _) in words.STATES.items() if other == code])


NARROWING: Final[Mapping[str, Any]] = {
    "q": _search,
    "status": _status,
    "severity": lambda code: Q(severity=SEVERITY_CODES[code]),
    "source": lambda name: Q(detection_source=name),
    "group": lambda pk: Q(group=int(pk)),
    "alert": _by_alert,
    "since": _since,
}
DEVICE_NARROWING: Final[Mapping[str, Any]] = {
    "q": _device,
    "group": lambda pk: Q(group=int(pk)),
    "state": DEVICE_STATE.__getitem__,
}
