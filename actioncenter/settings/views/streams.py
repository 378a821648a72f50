"""Receivers of the log. Admins add, switch and remove them, auditors read, for others there is no such page."""

from collections.abc import Callable
from typing import Any, Final

from cryptography import x509
from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from actioncenter.accounts import proof
from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.settings.enums import Role
from actioncenter.settings.models import Destination, DestinationError
from actioncenter.settings.models.authority import has_proved
from actioncenter.settings.models.streams import SHORTEST_SECRET, newest_seal
from actioncenter.web.load import load
from actioncenter.web.moments import iso, when

LONGEST_PEM: Final = 100_000


class StreamForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80, widget=forms.TextInput(attrs={"class": "text"}))
    address = forms.CharField(
        label="Address", max_length=500, widget=forms.TextInput(attrs={"class": "text", "autocomplete": "off"}),
        help_text="https://host/path for a webhook; syslog+tls://host:port, syslog+tcp://… or syslog+udp://….",
    )  # fmt: skip
    what = forms.ChoiceField(
        label="What is sent", widget=forms.Select(attrs={"class": "text pick"}),
        choices=[("events", "Events, with their seals' order"), ("seals", "Seals alone")],
    )  # fmt: skip
    secret = forms.CharField(
        label="Secret", required=False, strip=False, max_length=4000,
        widget=forms.PasswordInput(attrs={"class": "text", "autocomplete": "new-password"}),
        help_text=f"Of a webhook: the key that signs what is posted, {SHORTEST_SECRET} characters at least. It is kept "
        "encrypted and never shown again. Syslog has none.",
    )  # fmt: skip
    ca = forms.CharField(
        label="Authority of its certificate", required=False, max_length=LONGEST_PEM,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="PEM. Empty for those that this system trusts.",
    )  # fmt: skip
    so_far = forms.BooleanField(label="With all that is sealed already", required=False)

    def clean_ca(self) -> str:
        text = str(self.cleaned_data["ca"]).strip()
        if text:
            try:
                x509.load_pem_x509_certificates(text.encode("ascii"))
            except ValueError as error:
                raise forms.ValidationError("This holds no certificate in PEM.") from error
        return text


@require_safe
def streams(request: Request) -> HttpResponse:
    _require_reader(request)
    return _page(request)


@require_http_methods(["GET", "HEAD", "POST"])
def add_stream(request: Request) -> HttpResponse:
    _require_reader(request)
    if request.method != "POST" and not request.user.has_role(Role.ADMIN):
        return redirect("settings:streams")
    _require_admin(request)
    form = StreamForm(request.POST or None)
    here = reverse("settings:add_stream")
    if request.method != "POST":
        # Before it is filled in: what is typed would be lost by asking afterwards.
        fresh = has_proved(actor_of(request))
        return _form_page(request, form) if fresh else proof.ask(request, back=here)
    if not form.is_valid():
        return _form_page(request, form, status=422)

    def effect() -> Outcome:
        row = Destination.add(**form.cleaned_data, by=actor_of(request))
        return {
            "said": f"{row} gets what is sealed from now on{' and before' if form.cleaned_data['so_far'] else ''}."
        }

    def refused(error: DestinationError) -> HttpResponse:
        form.add_error(error.code if error.code in form.fields else None, str(error))
        return _form_page(request, form, status=422)

    return _once(request, effect, refused, here)


@require_POST
def switch_stream(request: Request, pk: int) -> HttpResponse:
    _require_admin(request)
    row = load(Destination.objects.all(), pk)
    on = request.POST.get("to") == "on"

    def effect() -> Outcome:
        row.switch(on=on, by=actor_of(request))
        return {"said": f"{row} goes on where it was." if on else f"Nothing more is sent to {row}."}

    return _once(request, effect, lambda error: _page(request, error=str(error), status=422))


@require_POST
def remove_stream(request: Request, pk: int) -> HttpResponse:
    _require_admin(request)
    row = load(Destination.objects.all(), pk)

    def effect() -> Outcome:
        row.remove(by=actor_of(request))
        return {"said": f"{row} is removed. What it has, it keeps."}

    return _once(request, effect, lambda error: _page(request, error=str(error), status=422))


def _once(
    request: Request,
    effect: Callable[[], Outcome],
    refused: Callable[[DestinationError], HttpResponse],
    back: str = "",
) -> HttpResponse:
    try:
        return once(request, effect, lambda _: redirect("settings:streams"))
    except DestinationError as error:
        if error.code == "role":
            raise PermissionDenied(str(error)) from error
        if error.code == proof.CODE:
            return proof.ask(request, back=back or reverse("settings:streams"), why=str(error))
        return refused(error)


def _require_reader(request: Request) -> None:
    if not (request.user.has_role(Role.ADMIN) or request.user.has_role(Role.AUDITOR)):
        raise Http404


def _require_admin(request: Request) -> None:
    _require_reader(request)
    if not request.user.has_role(Role.ADMIN):
        raise PermissionDenied("Only an admin says where the log is sent.")


def _form_page(request: Request, form: StreamForm, *, status: int = 200) -> HttpResponse:
    return render(request, "settings/stream_form.html", {"form": form}, status=status)


def _page(request: Request, *, error: str = "", status: int = 200) -> HttpResponse:
    newest = newest_seal()
    context = {
        "streams": [stream(row, newest) for row in Destination.objects.all()],
        "can_edit": request.user.has_role(Role.ADMIN),
        "error": error,
    }
    return render(request, "settings/streams.html", context, status=status)


def stream(row: Destination, newest: int) -> dict[str, Any]:
    """How far it is."""
    behind = row.behind_by(newest)
    state = "Failing" if row.failures else "Behind" if behind else "Current"
    moments = {"delivered": row.delivered_at, "next_try": row.next_try_at}
    return {
        "row": row,
        "behind": behind,
        "state": state if row.enabled else "Off",
        **{name: when(at) if at else "" for name, at in moments.items()},
        **{f"{name}_iso": iso(at) if at else "" for name, at in moments.items()},
    }
