"""Verifications: asked for here, carried out beside a runner, watched here."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from actioncenter.accounts.answers import Outcome, once
from actioncenter.accounts.request import Request, actor_of
from actioncenter.actions.queries import runners
from actioncenter.audit import sealing
from actioncenter.auditor.enums import RunResult, RunState
from actioncenter.auditor.models import VerificationRun
from actioncenter.auditor.views.entering import auditors
from actioncenter.web import htmx
from actioncenter.web.moments import iso, lasting, when

Shown = dict[str, Any]
LISTED: Final = 20
RESULTS: Final[Mapping[RunResult, tuple[str, str]]] = {
    RunResult.SOUND: ("succeeded", "As it was written"),
    RunResult.WRONG: ("failed", "Not as it was written"),
    RunResult.FAILED: ("outcome_unknown", "Couldn't be carried out"),
}
COUNTS: Final[Mapping[str, str]] = {
    "events": "events read",
    "streams": "streams",
    "seals": "seals",
    "unsealed": "wait for a seal",
    "copies": "copies compared",
}


@require_safe
@auditors
def verification(request: Request) -> HttpResponse:
    runs = list(VerificationRun.objects.order_by("-pk")[:LISTED])
    last, waits = sealing.newest(), sealing.is_waiting()
    alone = not runners.present().exists()
    tag = _tag([(run.pk, run.state, run.counts) for run in runs], last and last.number, waits, alone)
    wanted = htmx.fragment(request)
    if wanted and htmx.is_current(request, tag):
        return htmx.not_modified(tag)
    context = {
        "tab": "verification",
        "runs": [_shown(run) for run in runs],
        "is_open": any(run.open for run in runs),
        "alone": alone,
        "seal": {"number": last.number, "at": when(last.at), "at_iso": iso(last.at)} if last else None,
        "waits": waits,
        "ptag": tag,
    }
    template = "auditor/_verification.html" if wanted else "auditor/verification.html"
    return htmx.live(render(request, template, context), tag)


@require_POST
@auditors
def verify(request: Request) -> HttpResponse:
    def effect() -> Outcome:
        run, new = VerificationRun.request(by=actor_of(request))
        asked = f"{run.requested_by_name} has asked for one already; it isn't over."
        return {"said": "The log is being verified. The result will stand here." if new else asked}

    return once(request, effect, lambda _: redirect("auditor:verification"))


def _tag(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def _shown(run: VerificationRun) -> Shown:
    code, label = RESULTS[RunResult(run.result)] if run.result else _under_way(run)
    bad = run.first_bad or {}
    begun, ended = run.started_at, run.finished_at
    return {
        "number": run.pk,
        "code": code,
        "label": label,
        "by": run.requested_by_name,
        "at": when(run.requested_at),
        "at_iso": iso(run.requested_at),
        "took": lasting((ended or timezone.now()) - begun) if begun else "",
        "done": min(99, 100 * run.counts.get("events", 0) // max(1, run.expected))
        if run.state == RunState.RUNNING
        else None,
        "counts": [f"{run.counts[name]:,} {text}" for name, text in COUNTS.items() if name in run.counts],
        "bad": bad.get("message", ""),
        "bad_url": reverse("auditor:event", args=[bad["event"]]) if bad.get("event") else "",
        "bad_label": f"Event {bad['event']}" if bad.get("event") else "",
        "action_url": reverse("auditor:story", args=[bad["action"]]) if bad.get("action") else "",
        "action_label": f"A-{bad['action']}" if bad.get("action") else "",
        "trouble": run.trouble,
    }


def _under_way(run: VerificationRun) -> tuple[str, str]:
    return ("running", "Under way") if run.state == RunState.RUNNING else ("queued", "Waits for a runner")
