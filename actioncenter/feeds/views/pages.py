"""The list, its consumers and the log of clicks. Everybody with a role sees the list; admins make consumers."""

from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.queries import viewer_of
from actioncenter.feeds.enums import FILES, KIND_LABELS, LABELS, ClickResult, EntryKind, FeedFormat
from actioncenter.feeds.forms import ConsumerForm
from actioncenter.feeds.models import Block, BlockList, Click, Consumer, ConsumerError
from actioncenter.settings.enums import Role
from actioncenter.settings.models import ConnectorInstance
from actioncenter.web.load import LARGEST, load
from actioncenter.web.moments import iso, when
from actioncenter.web.text import age_of

Shown = dict[str, Any]
NEWEST: Final = 50
PAGE: Final = 100
READERS: Final = frozenset({Role.ADMIN, Role.AUDITOR, Role.EMAIL_RESPONDER})
"""Who may see who clicked on what."""


@require_safe
def overview(request: Request) -> HttpResponse:
    _require_role(request)
    return _page(request)


@require_POST
def add(request: Request) -> HttpResponse:
    """Not by `once`, which keeps what it answers: the token is shown here and stands nowhere."""
    if not request.user.has_role(Role.ADMIN):
        raise PermissionDenied("Consumers are made by admins.")
    form = ConsumerForm(request.POST)
    if not form.is_valid():
        return _page(request, error=form.complaint, status=422)
    told = form.cleaned_data
    try:
        made, token = Consumer.add(told["name"], told["format"], by=actor_of(request))
    except ConsumerError as error:
        return _refused(request, error)
    address = request.build_absolute_uri(reverse("feeds:pull", args=[FILES[told["format"]]]))
    return _page(request, made={"name": made.name, "token": token, "address": address}, status=201)


@require_POST
def revoke(request: Request, pk: int) -> HttpResponse:
    _require_role(request)
    row = load(Consumer.objects.all(), pk)

    def effect() -> Outcome:
        changed = row.revoke(by=actor_of(request))
        return {"said": f"{row} can pull nothing any more." if changed else f"{row} was revoked before."}

    try:
        return once(request, effect, lambda _: redirect("feeds:overview"))
    except ConsumerError as error:
        return _refused(request, error)


@require_safe
def clicks(request: Request) -> HttpResponse:
    if READERS.isdisjoint(request.user.roles):
        raise PermissionDenied("Who clicked on what is for email responders, admins and auditors.")
    before = request.GET.get("before", "")
    rows = Click.objects.order_by("-pk")
    if before.isascii() and before.isdigit() and int(before) <= LARGEST:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: PAGE + 1])
    context = {
        "clicks": [_click(row) for row in found[:PAGE]],
        "older": found[PAGE - 1].pk if len(found) > PAGE else "",
    }
    return render(request, "feeds/clicks.html", context)


def _require_role(request: Request) -> None:
    if not viewer_of(request).scope.areas:
        raise PermissionDenied("The block list is for people who have a role.")


def _refused(request: Request, error: ConsumerError) -> HttpResponse:
    if error.code == "role":
        raise PermissionDenied(str(error)) from error
    if error.code == proof.CODE:
        return proof.ask(request, back=reverse("feeds:overview"), why=str(error))
    return _page(request, error=str(error), status=409)


def _page(request: Request, *, error: str = "", made: Shown | None = None, status: int = 200) -> HttpResponse:
    version = BlockList.current()
    listed = Block.objects.published()
    kinds = dict(listed.values_list("kind").annotate(Count("pk")).order_by("kind"))
    newest = listed.order_by("-version")[:NEWEST]
    context = {
        "version": version,
        "in_use": ConnectorInstance.objects.filter(kind="feeds", enabled=True).exists(),
        "kinds": [{"label": KIND_LABELS[EntryKind(kind)], "number": kinds[kind]} for kind in kinds],
        "entries": [_entry(row) for row in newest],
        "entries_more": max(0, sum(kinds.values()) - NEWEST),
        "consumers": [_consumer(row, version) for row in Consumer.objects.filter(revoked_at=None)],
        "formats": [{"value": each.value, "label": LABELS[each], "file": FILES[each]} for each in FeedFormat],
        "can_edit": request.user.has_role(Role.ADMIN),
        "can_see_clicks": not READERS.isdisjoint(request.user.roles),
        "error": error,
        "made": made,
    }
    return render(request, "feeds/overview.html", context, status=status)


def _entry(row: Block) -> Shown:
    return {
        "expression": row.expression,
        "kind": KIND_LABELS[EntryKind(row.kind)],
        "until": when(row.expires_at),
        "until_iso": iso(row.expires_at),
        "version": row.version,
    }


def _consumer(row: Consumer, version: int) -> Shown:
    now = timezone.now()
    return {
        "pk": row.pk,
        "name": row.name,
        "format": LABELS[FeedFormat(row.format)],
        "pulled": f"{age_of(row.pulled_at, now)} ago" if row.pulled_at else "",
        "pulled_iso": iso(row.pulled_at),
        "pulled_from": row.pulled_from,
        "version": row.pulled_version,
        "is_new": row.pulled_at is not None and row.pulled_version >= version,
    }


def _click(row: Click) -> Shown:
    return {
        "at": when(row.at),
        "at_iso": iso(row.at),
        "url": row.url,
        "recipient": row.recipient,
        "stopped": row.result == ClickResult.STOPPED,
        "address": row.address,
        "agent": row.agent,
    }
