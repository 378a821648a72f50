"""What a person is told: the page behind the bell."""

from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from actioncenter.accounts import answers
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.forms import MailForm, NoticeFilter
from actioncenter.accounts.models import Notice
from actioncenter.accounts.request import Request, actor_of
from actioncenter.guide.documents import address_of
from actioncenter.settings.enums import Role
from actioncenter.web import htmx
from actioncenter.web.load import load
from actioncenter.web.moments import iso, when
from actioncenter.web.refusing import refused

Shown = dict[str, Any]
PAGE_SIZE: Final = 50
UNDELIVERED_SHOWN: Final = 20
LABELS: Final = {Severity.INFO: "Info", Severity.WARNING: "Warning", Severity.URGENT: "Urgent"}


@require_safe
def listed(request: Request) -> HttpResponse:
    wanted = NoticeFilter(request.GET)
    if not wanted.is_valid():
        return refused(
            request, 400, "These notices can't be shown", "The address was changed. Start again from all notices."
        )  # fmt: skip
    chosen = wanted.cleaned_data
    rows = list(_narrowed(request, chosen).newest_first()[: PAGE_SIZE + 1])
    more, rows = len(rows) > PAGE_SIZE, rows[:PAGE_SIZE]
    state = {name: chosen[name] for name in ("severity", "unread") if chosen[name]}
    context = {
        "notices": [_shown(row) for row in rows],
        "ways": _ways(state),
        "here": _address(state | ({"before": chosen["before"]} if chosen["before"] else {})),
        "older_url": _address({**state, "before": rows[-1].pk}) if more else "",
        "newest_url": _address(state) if chosen["before"] else "",
        "empty": _empty(state),
        "undelivered": _undelivered(request),
        "mail_on": settings.MAIL_ON,
        "address": request.user.email,
        "by_mail": request.user.notices_by_mail,
    }
    return render(request, "accounts/notices.html", context)


@require_POST
def read(request: Request, pk: int) -> HttpResponse:
    notice = load(request.user.notices.all(), pk)

    def effect() -> answers.Outcome:
        request.user.notices.filter(pk=notice.pk).mark_read()
        return {}

    return answers.once(request, effect, lambda _: redirect(_back(request)))


@require_POST
def read_all(request: Request) -> HttpResponse:
    def effect() -> answers.Outcome:
        number = request.user.notices.mark_read()
        return {"said": f"{number:,} notice{'' if number == 1 else 's'} marked as read."}

    return answers.once(request, effect, lambda _: redirect(_back(request)))


@require_POST
def choose_mail(request: Request) -> HttpResponse:
    form = MailForm(request.POST)
    form.full_clean()
    wanted = form.cleaned_data["by_mail"]

    def effect() -> answers.Outcome:
        request.user.choose_mail(wanted, by=actor_of(request))
        return {"said": "Notices are mailed to you." if wanted else "No notices are mailed to you."}

    return answers.once(request, effect, lambda _: redirect("notices"))


def _narrowed(request: Request, chosen: dict[str, Any]) -> Any:
    rows = request.user.notices.all()
    if chosen["severity"]:
        rows = rows.filter(severity=Severity[chosen["severity"].upper()])
    if chosen["unread"]:
        rows = rows.unread()
    return rows.filter(pk__lt=chosen["before"]) if chosen["before"] else rows


def _shown(row: Notice) -> Shown:
    severity = Severity(row.severity)
    return {
        "pk": row.pk,
        "title": row.title,
        "lines": row.lines,
        "url": row.path,
        "severity_code": severity.name.lower(),
        "severity_label": LABELS[severity],
        "at": when(row.created_at, timezone.now()),
        "at_iso": iso(row.created_at),
        "unread": row.read_at is None,
    }


def _ways(state: dict[str, Any]) -> list[Shown]:
    """The views above the list: all, unread, one severity."""
    ways: list[tuple[str, dict[str, Any]]] = [("All", {}), ("Unread", {"unread": "1"})]
    ways += [(LABELS[one], {"severity": one.name.lower()}) for one in reversed(Severity)]
    return [{"label": label, "url": _address(way), "on": way == state} for label, way in ways]


def _address(state: dict[str, Any]) -> str:
    return f"{reverse('notices')}?{urlencode(state)}" if state else reverse("notices")


NONE_YET: Final = (
    "What you should know will stand here: what was handed to you or waits too long, what failed or looks wrong, and "
    "what somebody wrote to you with @."
)


def _empty(state: dict[str, Any]) -> Shown:
    if not state:
        return {
            "title": "Nothing yet",
            "text": NONE_YET,
            "url": address_of("analyst#notices"),
            "label": "What notices there are",
        }
    text = "None of your notices fits."
    return {"title": "Nothing matches", "text": text, "url": _address({}), "label": "Show all"}


def _undelivered(request: Request) -> list[Shown]:
    """For admins: whom mail didn't reach. What the notice says is for its person alone."""
    if not request.user.has_role(Role.ADMIN):
        return []
    rows: QuerySet[Notice] = Notice.objects.undelivered().select_related("user").newest_first()
    return [
        {
            "who": row.user.shown_name,
            "error": row.mail_error,
            "at": when(row.created_at, timezone.now()),
            "at_iso": iso(row.created_at),
        }
        for row in rows[:UNDELIVERED_SHOWN]
    ]


def _back(request: HttpRequest) -> str:
    return htmx.local_path(request, request.POST.get("next", ""), reverse("notices"))
