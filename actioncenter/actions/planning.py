"""From evidence with a verdict to actions. Idempotent: the same evidence twice makes one action.

Several findings may ask for the same action on the same target; they become one action with
several links, and the strictest outcome wins (domain Q8).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from actioncenter.accounts import fence
from actioncenter.actions import policy, recipes, targeting
from actioncenter.actions.catalogue import CATALOGUE, clean_parameters
from actioncenter.actions.enums import ALLOWED, ActionType, Area, Decision, Execution, Source
from actioncenter.actions.models import Action, ActionEvidence, Proposal, TargetDraft
from actioncenter.actions.policy import Facts, Outcome, OutcomeKind
from actioncenter.audit.actor import Actor
from actioncenter.settings import facts as settings_facts
from actioncenter.settings import matching
from actioncenter.settings.enums import AutomationLevel, FolderClass, IndicatorEffect, IndicatorKind
from actioncenter.settings.models import DeviceGroup
from investigations.enums import EvidenceType, OsFamily, RemediationStatus, Verdict
from investigations.lifecycle import mark_dirty
from investigations.models import Evidence, Investigation
from investigations.models.evidence import UNPLANNED
from investigations.queries import NoRoute, Routes, routes_for

CHUNK = 500
EXPANSION_DEVICES = 10
DONE_BY_THE_SOURCE = frozenset(
    {RemediationStatus.REMEDIATED, RemediationStatus.PREVENTED, RemediationStatus.BLOCKED}
)
"""What arrives so needs nothing from us; afterwards the status is our own."""
ASKED_AGAIN = frozenset({"level_lowered", "plan_changed", "plan_expired", "stale_approval"})
"""Codes with which the runner refused; the same evidence may ask a person then."""


@dataclass(slots=True)
class Wish:
    """One action that some evidence asks for, before it is known whether it exists."""

    type: ActionType
    target: TargetDraft
    parameters: dict[str, Any]
    simulated: bool
    items: list[tuple[Evidence, Facts, str]] = field(default_factory=list)
    """(evidence, facts, folder) of each finding."""

    @property
    def key(self) -> tuple[int, int, str]:
        return (self.items[0][0].investigation_id, int(self.type), self.target.canonical)


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings in force, read inside the fence."""

    folders: Sequence[matching.FolderRule]
    exclusions: Sequence[matching.Exclusion]
    indicators: Sequence[matching.Indicator]
    routes: Routes


def plan(evidence_ids: Iterable[int], *, by: Actor | None = None) -> list[Action]:
    """Propose what the evidence calls for; returns the actions that are new.

    Works in transactions of at most 500 pieces of evidence.
    """
    ids = sorted(set(evidence_ids))
    created: list[Action] = []
    for start in range(0, len(ids), CHUNK):
        created += _plan_chunk(ids[start : start + CHUNK], by=by or Actor.automation())
    return created


def plan_unplanned(*, by: Actor, limit: int = CHUNK) -> list[Action]:
    """For housekeeping: what a crash between recording and planning left behind."""
    return plan(unplanned().values_list("pk", flat=True)[:limit], by=by)


def unplanned() -> "QuerySet[Evidence]":
    """Evidence whose verdict planning has not worked on."""
    return Evidence.objects.filter(UNPLANNED)


def _plan_chunk(ids: Sequence[int], *, by: Actor) -> list[Action]:
    with fence.decider():
        evidence = list(
            _ours(ids).select_related("device__group", "mailbox", "cluster", "investigation").order_by("pk")
        )
        rules = Rules(
            folders=settings_facts.folder_rules(),
            exclusions=settings_facts.exclusions(),
            indicators=settings_facts.indicators(_entity_facts(item) for item in evidence),
            routes=routes_for(
                [item.device for item in evidence if item.device],
                [item.mailbox for item in evidence if item.mailbox],
            ),
        )
        wishes = _merged(wish for item in evidence for wish in _wishes(item, rules))
        created = [action for wish in wishes if (action := _propose(wish, by=by))]
        _withdraw_improved(evidence, by=by)
        _mark_planned(evidence, created)
    return created


def _ours(ids: Sequence[int]) -> "QuerySet[Evidence]":
    """Those that no other intake or planning has: that one plans them, with the verdict it brings."""
    rows = Evidence.objects.filter(pk__in=ids)
    if connection.features.has_select_for_update:
        held = rows.order_by("pk").select_for_update(no_key=True, skip_locked=True)
        rows = Evidence.objects.filter(pk__in=list(held.values_list("pk", flat=True)))
    return rows


def _wishes(evidence: Evidence, rules: Rules) -> list[Wish]:
    """What one finding asks for, with the facts that policy will judge."""
    if evidence.remediation in DONE_BY_THE_SOURCE and evidence.planned_verdict is None:
        return []
    effect = _indicator(evidence, rules)
    verdict = Verdict(evidence.verdict)
    if effect in {IndicatorEffect.BLOCK, IndicatorEffect.BLOCK_AND_REMEDIATE}:
        verdict = Verdict.MALICIOUS
    group = evidence.device.group if evidence.device else None
    proposed = recipes.proposals(
        EvidenceType(evidence.type),
        verdict,
        Area(evidence.area),
        {**evidence.facts, "device": evidence.device_id, "mailbox": evidence.mailbox_id},
        isolate=evidence.recommends_isolation or bool(group and group.recipe_isolates),
    )
    return [_wish(kind, evidence, rules, effect) for kind in proposed.actions]


def _wish(kind: ActionType, evidence: Evidence, rules: Rules, effect: IndicatorEffect | None) -> Wish:
    parameters = clean_parameters(kind, {})
    place = _route(kind, evidence, rules.routes)
    target = targeting.draft(kind, evidence, parameters, place)
    facts, folder = _facts(kind, evidence, rules, effect, routable=place.instance_id is not None)
    return Wish(kind, target, parameters, place.simulated, [(evidence, facts, folder)])


def _route(kind: ActionType, evidence: Evidence, routes: Routes) -> targeting.Place:
    if targeting.target_kind(kind, evidence) in targeting.TENANT_KINDS:
        found = routes.find(kind)
    elif CATALOGUE[kind].area == Area.EMAIL:
        found = routes.find(kind, mailbox=evidence.mailbox)
    else:
        found = routes.find(kind, device=evidence.device)
    if isinstance(found, NoRoute):
        return targeting.Place()
    return targeting.Place(found.instance_id, found.instance_name, found.remote, found.simulated)


def _facts(
    kind: ActionType, evidence: Evidence, rules: Rules, effect: IndicatorEffect | None, *, routable: bool
) -> tuple[Facts, str]:
    device = evidence.device
    group = device.group if device else None
    level = AutomationLevel(group.level) if group else None
    os_family = OsFamily(device.os_family) if device else OsFamily.UNKNOWN
    file_like = EvidenceType(evidence.type) in recipes.FILE_LIKE
    path = evidence.path or str(evidence.facts.get("path", ""))
    place = matching.locate(path, level, rules.folders, file_like=file_like, os_family=os_family)
    facts = Facts(
        area=Area(evidence.area),
        verdict=Verdict(evidence.verdict),
        level=level,
        folder_class=place.folder_class,
        action_type=kind,
        indicator=effect,
        excluded=matching.excluded(path, rules.exclusions, os_family),
        critical=bool(device and device.critical) or bool(group and group.critical),
        membership_stale=bool(device and device.membership_stale),
        identity_confidence=evidence.identity_confidence,
        altered=evidence.altered,
        expansion=_on_many_devices(evidence),
        routable=routable,
        group_name=group.name if group else "",
        device_name=device.name if device else "",
        path=path,
        folder=place.folder,
    )
    return facts, place.folder


def _on_many_devices(evidence: Evidence) -> bool:
    if not evidence.sha256 or not evidence.device_id:
        return False
    same = Evidence.objects.filter(investigation_id=evidence.investigation_id, sha256=evidence.sha256)
    return same.values("device_id").distinct().count() >= EXPANSION_DEVICES


def _entity_facts(evidence: Evidence) -> matching.EntityFacts:
    facts = evidence.facts
    values: Mapping[IndicatorKind, list[str]] = {
        IndicatorKind.FILE_HASH: [str(facts[k]) for k in ("sha256", "sha1", "md5") if facts.get(k)],
        IndicatorKind.IP: [str(facts["ip"])] if facts.get("ip") else [],
        IndicatorKind.URL: [str(facts["url"])] if facts.get("url") else [],
        IndicatorKind.SENDER: [str(facts["sender"])] if facts.get("sender") else [],
    }
    return matching.EntityFacts(values, evidence.group_id)


def _indicator(evidence: Evidence, rules: Rules) -> IndicatorEffect | None:
    found = matching.match_indicator(_entity_facts(evidence), rules.indicators, now=timezone.now())
    return found.effect if found else None


def _merged(wishes: Iterable[Wish]) -> list[Wish]:
    by_key: dict[tuple[int, int, str], Wish] = {}
    for wish in wishes:
        if wish.key in by_key:
            by_key[wish.key].items += wish.items
        else:
            by_key[wish.key] = wish
    return list(by_key.values())


def _propose(wish: Wish, *, by: Actor) -> Action | None:
    """The new action, or None when policy proposes nothing or the action stands already."""
    proposal = _proposal(wish)
    if proposal is None:
        return None
    existing = (
        Action.objects.filter(
            investigation=wish.items[0][0].investigation_id,
            proposal_key=proposal.intent_key,
            undo_of__isnull=True,
        )
        .order_by("-round")
        .first()
    )
    if existing is not None and not _asks_again(existing, proposal):
        _link(existing, proposal)
        return None
    if existing is not None:
        if existing.decision == Decision.PENDING and not existing.withdraw("withdrawn_superseded", by=by):
            # Somebody decided it meanwhile, so it stands.
            _link(existing, proposal)
            return None
        proposal = _proposal(wish, round_=existing.round + 1)
        assert proposal is not None  # noqa: S101 - the same wish was judged a moment ago
    action, created = Action.objects.propose(proposal, by=by)
    return action if created else None


def _asks_again(existing: Action, proposal: Proposal) -> bool:
    """A worse verdict asks anew, unless it was allowed already; so does a finding that came back."""
    if existing.execution == Execution.CANCELLED and existing.code in ASKED_AGAIN:
        return True
    if existing.decision in ALLOWED:
        return False
    return bool(existing.decision == Decision.WITHDRAWN or proposal.verdict > existing.verdict)


def _link(action: Action, proposal: Proposal) -> None:
    ActionEvidence.objects.bulk_create(
        [
            ActionEvidence(action=action, evidence_id=pk, verdict=verdict, outcome_code=code)
            for pk, verdict, code in proposal.evidence
        ],
        ignore_conflicts=True,
    )


def _proposal(wish: Wish, round_: int = 1) -> Proposal | None:
    rejected = _rejected_by(wish)
    judged = [(item, facts, policy.decide(_with_rejection(facts, rejected))) for item, facts, _ in wish.items]
    outcome = policy.strictest(result for _, _, result in judged)
    if not outcome.kind.proposes:
        return None
    evidence, facts = next((item, facts) for item, facts, result in judged if result is outcome)
    group = evidence.device.group if evidence.device else None
    entry = CATALOGUE[wish.type]
    return Proposal(
        type=wish.type,
        area=entry.area,
        source=_source(evidence, entry.area),
        decision=Decision.NOT_REQUIRED if outcome.kind == OutcomeKind.AUTO else Decision.PENDING,
        targets=[wish.target],
        parameters=wish.parameters,
        investigation_id=evidence.investigation_id,
        evidence=[(item.pk, item.verdict, result.code) for item, _, result in judged],
        verdict=max(item.verdict for item, _, _ in judged),
        critical=facts.critical,
        group_id=group.pk if group and entry.area == Area.DEVICE else None,
        group_name=group.name if group and entry.area == Area.DEVICE else "",
        policy=_snapshot(outcome, facts, group),
        reason_code=outcome.code,
        round=round_,
        simulated=wish.simulated,
    )


def _with_rejection(facts: Facts, rejected_by: str) -> Facts:
    return facts if not rejected_by else replace(facts, rejected_before=rejected_by)


def _rejected_by(wish: Wish) -> str:
    """Who last rejected the same intent anywhere; a rejected intent never comes back as automatic."""
    intent = Proposal(
        type=wish.type, area=Area.DEVICE, source=Source.AUTOMATED_DEVICE, decision=Decision.PENDING,
        targets=[wish.target], parameters=wish.parameters,
    ).intent_key  # fmt: skip
    last = (
        Action.objects.filter(intent_key=intent, decision=Decision.REJECTED).order_by("-decided_at").first()
    )
    return last.decided_by_name if last else ""


def _source(evidence: Evidence, area: Area) -> Source:
    if evidence.investigation.source == "antivirus":
        return Source.ANTIVIRUS
    return Source.AUTOMATED_EMAIL if area == Area.EMAIL else Source.AUTOMATED_DEVICE


def _snapshot(outcome: Outcome, facts: Facts, group: DeviceGroup | None) -> dict[str, Any]:
    """What the decision rested on, kept so that it can be answered after settings change."""
    folder = FolderClass(facts.folder_class)
    return {
        "code": outcome.code,
        "params": dict(outcome.params),
        "row": outcome.row,
        "group_id": group.pk if group else None,
        "group": group.name if group else "",
        "rank": group.rank if group else None,
        "level": int(facts.level) if facts.level is not None else None,
        "folder_class": folder.name.lower(),
    }


def _withdraw_improved(evidence: Sequence[Evidence], *, by: Actor) -> None:
    """A better verdict withdraws what is undecided and no longer asked for (domain Q7)."""
    better = [
        item.pk
        for item in evidence
        if item.verdict not in recipes.BAD and item.planned_verdict in recipes.BAD
    ]
    if not better:
        return
    bad_links = ActionEvidence.objects.filter(evidence__verdict__in=[int(v) for v in recipes.BAD])
    Action.objects.exclude(pk__in=bad_links.values("action_id")).withdraw(
        "withdrawn_verdict", by=by, links__evidence_id__in=better
    )


def _mark_planned(evidence: Sequence[Evidence], created: Sequence[Action]) -> None:
    waiting: dict[Decision, set[int]] = defaultdict(set)
    for action in created:
        waiting[Decision(action.decision)] |= set(action.links.values_list("evidence_id", flat=True))
    Evidence.objects.filter(pk__in=[item.pk for item in evidence]).update(planned_verdict=F("verdict"))
    Evidence.objects.filter(pk__in=waiting[Decision.NOT_REQUIRED]).update(
        remediation=RemediationStatus.RUNNING
    )
    Evidence.objects.filter(pk__in=waiting[Decision.PENDING]).update(
        remediation=RemediationStatus.PENDING_APPROVAL
    )
    mark_dirty(item.investigation_id for item in evidence)


def stop_investigation(investigation: Investigation, *, by: Actor) -> int:
    """Withdraw what it still asks for; returns how many. The caller ends the investigation itself."""
    return Action.objects.withdraw("withdrawn_investigation", by=by, investigation=investigation)
