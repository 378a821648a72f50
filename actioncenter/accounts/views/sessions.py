"""Signing in and out, showing again who one is, and the look a person chose."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME, login, logout
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRefresh

from actioncenter.accounts import attempts, proof
from actioncenter.accounts.context import THEME_COOKIE
from actioncenter.accounts.forms import ProofForm, SignInForm, ThemeForm
from actioncenter.accounts.models import User
from actioncenter.accounts.request import AnyRequest, Request, actor_of
from actioncenter.audit import log
from actioncenter.audit.enums import Kind
from actioncenter.web import htmx

A_YEAR = 365 * 24 * 3600
PROVED = f"Thank you. That counts for {proof.MINUTES} minutes. Nothing was recorded yet: now do it again."


@never_cache
@sensitive_post_parameters("password")
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
@login_not_required
def sign_in(request: AnyRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect(_next_page(request))
    if request.method != "POST":
        return _sign_in_page(request, SignInForm(request))
    form = SignInForm(request, request.POST)
    if form.is_valid():
        _begin_session(request, form.get_user())
        return redirect(_next_page(request))
    if form.is_blocked:
        return _later(_sign_in_page(request, form, status=429))
    attempts.record_failure(form.typed_name, attempts.address_of(request), by=actor_of(request))
    return _sign_in_page(request, form)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_identity(request: Request) -> HttpResponse:
    """Take the password once more; what was asked for is left to be done again."""
    if request.method != "POST":
        return _proof_page(request, ProofForm(request))
    form = ProofForm(request, request.POST)
    if form.is_valid():
        if proof.give(request, form.cleaned_data["password"]):
            messages.success(request, PROVED)
            return redirect(_next_page(request))
        form.say_wrong()
    if form.is_blocked:
        return _later(_proof_page(request, form, status=429))
    return _proof_page(request, form)


@require_POST
@login_not_required
def sign_out(request: AnyRequest) -> HttpResponse:
    if request.user.is_authenticated:
        with transaction.atomic():
            actor = actor_of(request)
            log.record(Kind.SESSION_SIGNED_OUT, by=actor, subject=actor.ref, subject_name=actor.name)
            logout(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@require_POST
@login_not_required
def theme(request: AnyRequest) -> HttpResponse:
    """Remembered with the account, and in a cookie for the sign-in page."""
    form = ThemeForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("theme must be system, light or dark", content_type="text/plain")
    chosen = form.chosen()
    if isinstance(request.user, User):
        request.user.choose_theme(chosen, by=actor_of(request))
    response = HttpResponseClientRefresh() if request.htmx else redirect(_next_page(request))
    response.set_cookie(
        THEME_COOKIE,
        chosen.name.lower(),
        max_age=A_YEAR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def _sign_in_page(request: HttpRequest, form: SignInForm, *, status: int = 200) -> HttpResponse:
    context = {"form": form, "next": _wanted(request), "demo_hint": ""}
    return render(request, "accounts/sign_in.html", context, status=status)


def _proof_page(request: HttpRequest, form: ProofForm, *, status: int = 200) -> HttpResponse:
    context = {"form": form, "next": _next_page(request), "minutes": proof.MINUTES}
    return render(request, "accounts/prove.html", context, status=status)


def _later(response: HttpResponse) -> HttpResponse:
    response["Retry-After"] = str(int(attempts.WINDOW.total_seconds()))
    return response


def _begin_session(request: AnyRequest, user: User) -> None:
    with transaction.atomic():
        login(request, user)
        proof.mark(request)
        actor = actor_of(request)
        log.record(
            Kind.SESSION_SIGNED_IN,
            by=actor,
            subject=actor.ref,
            subject_name=actor.name,
            detail={"address": attempts.address_of(request)},
        )


def _wanted(request: HttpRequest) -> str:
    return request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME, "")


def _next_page(request: HttpRequest) -> str:
    """Where the person wanted to go, if that is a page of ours."""
    return htmx.local_path(request, _wanted(request), resolve_url(settings.LOGIN_REDIRECT_URL))
