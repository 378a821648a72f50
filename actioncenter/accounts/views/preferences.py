"""What a person chose for themselves."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from actioncenter.accounts import answers
from actioncenter.accounts.forms import ShortcutsForm
from actioncenter.accounts.request import Request, actor_of
from actioncenter.accounts.shortcuts import bindings


@require_safe
def shown(request: Request) -> HttpResponse:
    user = request.user
    return _page(request, ShortcutsForm(initial={"on": user.shortcuts_on, **bindings(user.shortcuts)}))


@require_POST
def choose_keys(request: Request) -> HttpResponse:
    form = ShortcutsForm({} if "usual" in request.POST else request.POST)
    if not form.is_valid():
        return _page(request, form, status=400)
    # Whoever goes back to the usual keys says nothing about whether they work.
    on = request.user.shortcuts_on if "usual" in request.POST else form.cleaned_data["on"]

    def effect() -> answers.Outcome:
        request.user.choose_shortcuts(on=on, own=form.own, by=actor_of(request))
        return {"said": "Your keys are kept." if on else "Single keys do nothing for you now."}

    return answers.once(request, effect, lambda _: redirect("preferences"))


@require_POST
def switch_keys(request: Request) -> HttpResponse:
    """On or off, from the help beside a list."""

    def effect() -> answers.Outcome:
        request.user.choose_shortcuts(on="on" in request.POST, by=actor_of(request))
        return {}

    return answers.once(request, effect, lambda _: HttpResponse(status=204))


def _page(request: HttpRequest, keys_form: ShortcutsForm, *, status: int = 200) -> HttpResponse:
    return render(request, "accounts/preferences.html", {"keys_form": keys_form}, status=status)
