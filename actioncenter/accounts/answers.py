"""One effect and one answer for a form, however often it is sent.

A double click, a browser that repeats itself or an impatient proxy sends the same form again. Each
form carries a key that is fresh with every rendering; the first request with it does something, all
others get the very same answer. A view separates what it does from what it shows:

    def rename(request: Request, pk: int) -> HttpResponse:
        form = NameForm(request.POST)
        if not form.is_valid():
            return _page(request, pk, error=form.complaint, status=422)

        def effect() -> Outcome:
            rename_it(pk, form.cleaned_data["name"], by=actor_of(request))
            return {"said": "It is renamed."}

        return once(request, effect, lambda outcome: redirect("settings:group", pk=pk))

and its template has `{% form_key %}` beside `{% csrf_token %}`.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from actioncenter.accounts.models import Answer
from actioncenter.accounts.request import actor_of
from actioncenter.audit.actor import Actor
from actioncenter.web import htmx
from actioncenter.web.refusing import refused

FIELD: Final = "idempotency_key"
SPACE: Final = UUID("5b6f8a5e-6c0c-4a55-9a3f-0d9f3c1d7f6e")
LONGEST: Final = 100
SQLITE_NORMAL: Final = 1
KEPT: Final = timedelta(days=7)
AT_ONCE: Final = 1000
UNSAID: Final = frozenset({FIELD, "csrfmiddlewaretoken", "then"})
"""Fields that are no part of what a person asks for; `then` is what to show next to who goes through a list."""

Outcome = dict[str, Any]
"""What came of it, as JSON. `said` is shown as a message when the answer leads to another page;
while `left` holds something, `rest` is called."""
Rest = Callable[[Outcome], Outcome]


class Reused(Exception):
    """The key has come with another form before."""


class Unchanged(Exception):
    """Raised by an effect that did nothing and never will for this form: a conflict, with its outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def once(
    request: HttpRequest,
    effect: Callable[[], Outcome],
    render: Callable[[Outcome], HttpResponse],
    rest: Rest | None = None,
) -> HttpResponse:
    """Do `effect` in one transaction unless it was done before, and answer what is kept for its key.

    What `effect` raises undoes everything and leaves the key free: raise for what a person can put
    right and send again. A conflict is an answer that is kept: raise it as Unchanged. Everything `render`
    shows must follow from the outcome, because it may run in a later request. It runs outside the
    transaction, on SQLite a transaction keeps all other writers waiting. `rest` does what mustn't
    be done while `effect` still holds its locks: one step of `left` per call and transaction.
    Without a key (a script's plain form) every request is the first.

    Raises BadRequest for a key that none of our forms carries.
    """
    key = request.POST.get(FIELD, "")
    if not key:
        return _shown(request, _unkept(effect, rest), render)
    if len(key) > LONGEST or not key.isprintable():
        raise BadRequest(f"{FIELD} must be at most {LONGEST} printable characters")
    asked = Answer(actor=actor_of(request).ref, key=key, request_hash=_digest(request))
    try:
        answer = _answered(request, asked, effect, render, rest)
    except Reused:
        return refused(request, 422, "Nothing was recorded", REUSED)
    return HttpResponse(answer.body, status=answer.status, headers=answer.headers)


REUSED: Final = (
    "This form was already sent with something else in it. Load the page again and repeat what is missing."
)


def key_of_form(key: str, *, by: Actor) -> str:
    """Of an action that a form asks for: no form can name a key of somebody else or one that the product makes."""
    return f"form:{uuid5(SPACE, f'{by.ref} {key}')}" if key else ""


def purge() -> int:
    """Forget the oldest answers that are past keeping; returns how many."""
    rows = past_keeping().order_by("created_at").values("pk")[:AT_ONCE]
    return Answer.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).delete()[0]


def past_keeping() -> "QuerySet[Answer]":
    return Answer.objects.filter(created_at__lt=Now() - KEPT)


def _unkept(effect: Callable[[], Outcome], rest: Rest | None) -> Outcome:
    try:
        with transaction.atomic():
            outcome = effect()
    except Unchanged as nothing:
        return nothing.outcome
    while rest is not None and outcome.get("left"):
        with transaction.atomic():
            outcome = rest(outcome)
    return outcome


def _answered(
    request: HttpRequest,
    asked: Answer,
    effect: Callable[[], Outcome],
    render: Callable[[Outcome], HttpResponse],
    rest: Rest | None,
) -> Answer:
    try:
        answer = _settled(asked, effect)
    except Unchanged as nothing:
        asked.outcome = nothing.outcome
        return _put(asked, _shown(request, asked.outcome, render))
    while rest is not None and answer.outcome.get("left"):
        answer = _stepped(answer, rest)
    if answer.status is None:
        return _keep(answer, _shown(request, answer.outcome, render))
    if _leads_on(answer.status):
        _say(request, answer.outcome)
    return answer


def _settled(asked: Answer, effect: Callable[[], Outcome]) -> Answer:
    """The row with its outcome. Raises Reused, and whatever the effect raises."""
    with transaction.atomic():
        # First of all: who comes second waits here, holding nothing that the first may need.
        answer = _inserted(asked)
        if not answer.outcome:
            # Nobody else's row is seen without an outcome, so this one was made here.
            answer.outcome = effect() or {"said": ""}
            answer.save(update_fields=["outcome"])
    return answer


def _inserted(asked: Answer) -> Answer:
    """The row under that key, whoever has inserted it. Raises Reused."""
    Answer.objects.bulk_create([asked], ignore_conflicts=True)
    there = Answer.objects.get(actor=asked.actor, key=asked.key)
    if there.request_hash != asked.request_hash:
        raise Reused
    return there


def _stepped(answer: Answer, rest: Rest) -> Answer:
    with _locked(answer) as now:
        if now.outcome.get("left"):
            now.outcome = rest(now.outcome)
            now.save(update_fields=["outcome"])
    return now


@contextmanager
def _locked(answer: Answer) -> Iterator[Answer]:
    with transaction.atomic():
        rows = Answer.objects.all()
        if connection.features.has_select_for_update:
            rows = rows.select_for_update()
        yield rows.get(pk=answer.pk)


def _shown(request: HttpRequest, outcome: Outcome, render: Callable[[Outcome], HttpResponse]) -> HttpResponse:
    response = render(outcome)
    if _leads_on(response.status_code):
        _say(request, outcome)
    return response


def _leads_on(status: int) -> bool:
    return 300 <= status < 400


def _say(request: HttpRequest, outcome: Outcome) -> None:
    if outcome.get("said"):
        messages.success(request, outcome["said"])


def _keep(answer: Answer, response: HttpResponse) -> Answer:
    """The first answer stays; of several rendered at the same time all but one are thrown away."""
    _take_over(answer, response)
    with _soon_on_disk():
        mine = Answer.objects.filter(pk=answer.pk, status__isnull=True).update(
            status=answer.status, headers=answer.headers, body=answer.body
        )
    if not mine:
        answer.refresh_from_db()
    return answer


def _put(answer: Answer, response: HttpResponse) -> Answer:
    """Outcome and answer at once, for what has changed nothing; what another request has put there stays."""
    _take_over(answer, response)
    with _soon_on_disk():
        there = _inserted(answer)
    return _keep(there, response) if there.status is None else there


def _take_over(answer: Answer, response: HttpResponse) -> None:
    answer.status, answer.headers = response.status_code, dict(response.headers)
    answer.body = response.content.decode()


@contextmanager
def _soon_on_disk() -> Iterator[None]:
    """A transaction whose end doesn't wait for the disk.

    Should the power fail before it is there, nothing is lost: the form sent again is answered from
    the outcome, which was written with the effect, or, where there was none, tried again.
    """
    alone, on_postgres = not connection.in_atomic_block, connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        before = 0
        if alone and not on_postgres:
            before = cursor.execute("PRAGMA synchronous").fetchone()[0]
            cursor.execute(f"PRAGMA synchronous = {min(before, SQLITE_NORMAL)}")
        try:
            with transaction.atomic():
                if on_postgres:
                    cursor.execute("SET LOCAL synchronous_commit TO off")
                yield
        finally:
            if alone and not on_postgres:
                cursor.execute(f"PRAGMA synchronous = {before}")


def _digest(request: HttpRequest) -> str:
    """Of the method, the address, the kind of answer wanted and the form.

    Under a key: a form may hold a password, and nobody who reads the table may try which one.
    """
    form = sorted((name, values) for name, values in request.POST.lists() if name not in UNSAID)
    asked = [request.method, request.get_full_path(), htmx.fragment(request), form]
    return salted_hmac(FIELD, json.dumps(asked), algorithm="sha256").hexdigest()
