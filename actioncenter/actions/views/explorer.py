"""Searching mail: what to look for, what was found so far, in clusters, and the messages of one of them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.db.models import Count, Max, Min
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions import exploring
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import Area, JobKind, JobState
from actioncenter.actions.exploring import GROUPINGS, Choice
from actioncenter.actions.forms import MailSearchForm
from actioncenter.actions.models import Invalid, MailHit, MailSearch
from actioncenter.actions.permissions import PROPOSERS, NotVisible, Refused
from actioncenter.actions.queries import Viewer, runners, viewer_of
from actioncenter.actions.queries.mailboxes import numbers_of
from actioncenter.actions.views.refusing import denied
from actioncenter.settings.access import within
from actioncenter.web import htmx
from actioncenter.web.load import LARGEST, load
from actioncenter.web.moments import iso, when

Shown = dict[str, Any]
RECENT: Final = 20
CLUSTERS: Final = 100
MESSAGES: Final = 100
BY: Final[Mapping[str, str]] = {
    "campaign": "Sender and subject",
    "sender": "Sender",
    "message": "Message-ID",
    "mailbox": "Mailbox",
}
READ_ONLY: Final = "You may look at searches, but searching takes a role that works on actions."


@require_http_methods(["GET", "HEAD", "POST"])
def explorer(request: Request) -> HttpResponse:
    viewer = viewer_of(request)
    if request.method != "POST":
        wanted = {name: request.GET[name] for name in MailSearchForm.base_fields if name in request.GET}
        return _form_page(request, viewer, MailSearchForm(initial=wanted))
    if not viewer.rights.roles & PROPOSERS and Area.EMAIL in viewer.scope.areas:
        return denied(request, Refused("role", READ_ONLY), back=reverse("actions:explorer"))
    form = MailSearchForm(request.POST)
    if not form.is_valid():
        return _form_page(request, viewer, form, status=422)

    def effect() -> Outcome:
        return {"pk": MailSearch.ask(form.criteria, by=actor_of(request)).pk}

    try:
        return once(request, effect, lambda outcome: redirect("actions:mail_search", pk=outcome["pk"]))
    except Refused as refusal:
        return denied(request, refusal, back=reverse("actions:explorer"))
    except Invalid as wrong:
        form.add_error(None, wrong.reason)
        return _form_page(request, viewer, form, status=422)
    except NotVisible as gone:
        raise Http404 from gone


def _form_page(request: Request, viewer: Viewer, form: MailSearchForm, *, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "read_only": "" if viewer.rights.roles & PROPOSERS else READ_ONLY,
        "rows": [
            {
                "url": reverse("actions:mail_search", args=[row.pk]),
                "text": exploring.in_words(row.criteria),
                "by": row.asked_by_name,
                "at": when(row.asked_at, viewer.now),
                "at_iso": iso(row.asked_at),
            }
            for row in within(MailSearch.objects.all(), viewer.scope).order_by("-pk")[:RECENT]
        ],
    }
    return render(request, "actions/explorer.html", context, status=status)


def visible_search(viewer: Viewer, number: int) -> MailSearch:
    return load(within(MailSearch.objects.all(), viewer.scope), number)


@require_safe
def mail_search(request: Request, pk: int) -> HttpResponse:
    """The whole state is in the address: how it is grouped, which cluster is open, from which message on."""
    viewer = viewer_of(request)
    search = visible_search(viewer, pk)
    choice = Choice(search, grouping=grouping_of(request.GET), within=number_of(request.GET.get("in", "")))
    if choice.within and not search.hits.filter(pk=choice.within).exists():
        raise Http404
    progress = _progress(search)
    alone = not runners.present().exists()
    tag = hashlib.sha256(repr((progress, alone)).encode()).hexdigest()[:24]
    wanted = htmx.fragment(request)
    if wanted and htmx.is_current(request, tag):
        return htmx.not_modified(tag)
    context = {
        "search": {
            "pk": pk,
            "text": exploring.in_words(search.criteria),
            "by": search.asked_by_name,
            "at": when(search.asked_at, viewer.now),
            "at_iso": iso(search.asked_at),
        },
        **progress,
        "alone": alone,
        "here": request.get_full_path(),
        "may_act": bool(viewer.rights.roles & PROPOSERS),
        "verbs": [CATALOGUE[kind] for kind in exploring.VERBS],
        "grouping": choice.grouping,
        "groupings": [
            {"label": label, "url": f"{_address(search)}?by={name}", "here": name == choice.grouping}
            for name, label in BY.items()
        ],
        "within": choice.within,
        "most_taken": exploring.MOST_TAKEN,
        **(_messages(request, choice, viewer) if choice.within else _clusters(choice, viewer)),
        "ptag": tag,
    }
    template = "actions/_mail_search.html" if wanted else "actions/mail_search.html"
    return htmx.live(render(request, template, context), tag)


def grouping_of(sent: Any) -> str:
    found: str = sent.get("by", "")
    return found if found in GROUPINGS else "campaign"


def number_of(text: str) -> int:
    """Raises BadRequest."""
    if text and not (text.isascii() and text.isdigit() and int(text[:20]) <= LARGEST):
        raise BadRequest("a message is named by a number")
    return int(text or 0)


def _address(search: MailSearch) -> str:
    return reverse("actions:mail_search", args=[search.pk])


def _progress(search: MailSearch) -> Shown:
    """How far the answer has come, and where it could not be looked."""
    jobs = list(search.jobs.filter(kind=JobKind.SEARCH).select_related("instance").order_by("pk"))
    gaps = [f"{job.instance.name}: {job.error}" for job in jobs if job.state == JobState.FAILED]
    done = [job for job in jobs if job.state == JobState.DONE]
    gaps += [
        f"{name}: it could not look into every mailbox."
        for name in dict.fromkeys(job.instance.name for job in done if not job.result.get("complete", True))
    ]
    if any(job.result.get("cut") for job in done):
        gaps.append(f"There is more: {exploring.MOST_IN_ALL:,} messages are kept. Narrow the search.")
    figures = exploring.figures_of(Choice(search))
    return {
        "running": any(job.state <= JobState.RUNNING for job in jobs),
        "gaps": gaps,
        "found": figures.messages,
        "boxes": figures.mailboxes,
    }


def _clusters(choice: Choice, viewer: Viewer) -> Shown:
    """The largest first."""
    columns = GROUPINGS[choice.grouping]
    grouped = choice.search.hits.order_by().values(*columns)
    counted = grouped.annotate(
        first=Min("pk"), number=Count("pk"), boxes=Count("mailbox", distinct=True), last=Max("received")
    )
    total = grouped.annotate(number=Count("pk")).count()
    names = [name.replace("_", " ").capitalize().replace("Message id", "Message-ID") for name in columns]
    return {
        "columns": names,
        "total": total,
        "clusters": [
            {
                "first": row["first"],
                "url": f"{_address(choice.search)}?{urlencode({'by': choice.grouping, 'in': row['first']})}",
                "name": row[columns[0]],
                "rest": [row[name] for name in columns[1:]],
                "number": row["number"],
                "boxes": row["boxes"],
                "last": when(row["last"], viewer.now),
                "last_iso": iso(row["last"]),
            }
            for row in counted.order_by("-number", "first")[:CLUSTERS]
        ],
    }


def _messages(request: Request, choice: Choice, viewer: Viewer) -> Shown:
    rows = choice.hits().filter(pk__gt=number_of(request.GET.get("after", ""))).order_by("pk")
    found = list(rows[: MESSAGES + 1])
    shown, address = found[:MESSAGES], f"{_address(choice.search)}?by={choice.grouping}"
    inside = f"{address}&in={choice.within}"
    act, first = reverse("actions:act_on_mail", args=[choice.search.pk]), CATALOGUE[exploring.VERBS[0]]
    return {
        "rows": _rows(shown, viewer),
        "total": choice.hits().count(),
        "clusters_url": address,
        "whole_url": f"{act}?{urlencode({'do': first.code, 'by': choice.grouping, 'in': choice.within})}",
        "first_url": inside if request.GET.get("after") else "",
        "next_url": f"{inside}&after={shown[-1].pk}" if len(found) > MESSAGES else "",
        "named": [value for value in choice.narrowed().values() if value],
    }


def _rows(hits: Sequence[MailHit], viewer: Viewer) -> list[Shown]:
    boxes = numbers_of((hit.mailbox for hit in hits), viewer.scope)
    return [
        {
            "pk": hit.pk,
            "url": reverse("actions:mail_message", args=[hit.search_id, hit.pk]),
            "mailbox": hit.mailbox,
            "mailbox_url": reverse("investigations:mailbox", args=[boxes[hit.mailbox]])
            if hit.mailbox in boxes
            else "",
            "sender": hit.sender,
            "subject": hit.subject or "(no subject)",
            "folder": hit.folder,
            "at": when(hit.received, viewer.now),
            "at_iso": iso(hit.received),
        }
        for hit in hits
    ]
