"""What findings ask for, judged by policy. Reads for a whole chunk at once; writes nothing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from django.db.models import Count, F, Q
from django.utils import timezone

from actioncenter.actions import policy, recipes, targeting
from actioncenter.actions.catalogue import CATALOGUE, clean_parameters
from actioncenter.actions.enums import ActionType, Area, Decision, Source
from actioncenter.actions.models import Action, Proposal, TargetDraft
from actioncenter.actions.models.proposal import intent_key
from actioncenter.actions.policy import Facts, Outcome, OutcomeKind
from actioncenter.settings import facts as settings_facts
from actioncenter.settings import matching
from actioncenter.settings.enums import AutomationLevel, FolderClass, IndicatorEffect, IndicatorKind
from actioncenter.settings.models import DeviceGroup, Safeguards
from investigations.enums import EvidenceType, OsFamily, RemediationStatus, Verdict
from investigations.models import Evidence
from investigations.queries import NoRoute, Routes, routes_for

EXPANSION_DEVICES = 10
DONE_BY_THE_SOURCE = frozenset(
    {RemediationStatus.REMEDIATED, RemediationStatus.PREVENTED, RemediationStatus.BLOCKED}
)
"""What arrives so needs nothing from us; afterwards the status is our own."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings in force and what stands beside the findings, read inside the fence."""

    folders: Sequence[matching.FolderRule]
    exclusions: Sequence[matching.Exclusion]
    indicators: Sequence[matching.Indicator]
    routes: Routes
    confidence_floor: int
    spreading: frozenset[tuple[int, str]]
    """(investigation, hash) of what was found on many devices."""
    now: datetime

    @classmethod
    def read(cls, evidence: Sequence[Evidence]) -> Self:
        figures = Safeguards.current()
        return cls(
            folders=settings_facts.folder_rules(),
            exclusions=settings_facts.exclusions(figures),
            indicators=settings_facts.indicators((_entity_facts(item) for item in evidence), figures),
            routes=routes_for(
                [item.device for item in evidence if item.device],
                [item.mailbox for item in evidence if item.mailbox],
            ),
            confidence_floor=figures.confidence_floor,
            spreading=_on_many_devices(evidence),
            now=timezone.now(),
        )


def _on_many_devices(evidence: Sequence[Evidence]) -> frozenset[tuple[int, str]]:
    hashes = {item.sha256 for item in evidence if item.sha256 and item.device_id}
    if not hashes:
        return frozenset()
    same = Evidence.objects.filter(
        sha256__in=hashes, investigation__in={item.investigation_id for item in evidence}
    )
    counted = same.values("investigation_id", "sha256").annotate(devices=Count("device_id", distinct=True))
    many = counted.filter(devices__gte=EXPANSION_DEVICES)
    return frozenset(many.values_list("investigation_id", "sha256"))


@dataclass
class Wish:
    """One action that some evidence asks for, before it is known whether it exists."""

    type: ActionType
    target: TargetDraft
    parameters: dict[str, Any]
    simulated: bool
    items: list[tuple[Evidence, Facts]] = field(default_factory=list)

    @property
    def investigation_id(self) -> int:
        return self.items[0][0].investigation_id

    @cached_property
    def intent_key(self) -> str:
        return intent_key(self.type, [self.target.canonical], self.parameters)

    @cached_property
    def meant(self) -> frozenset[str]:
        """Its intent, however else a source might have named the file: by another hash or its path alone."""
        named = (replace(self.target, entity=entity) for entity in targeting.names_of(self.target))
        return frozenset(
            {self.intent_key, *(intent_key(self.type, [each.canonical], self.parameters) for each in named)}
        )

    @property
    def key(self) -> tuple[int, str]:
        return (self.investigation_id, self.intent_key)

    @property
    def verdict(self) -> int:
        return max(item.verdict for item, _ in self.items)


@dataclass(frozen=True, slots=True)
class Judged:
    """What policy says of a wish: for each finding, and the strictest of it."""

    wish: Wish
    results: Sequence[tuple[Evidence, Facts, Outcome]]
    outcome: Outcome

    @property
    def decisive(self) -> tuple[Evidence, Facts]:
        return next((item, facts) for item, facts, result in self.results if result is self.outcome)

    @property
    def automatic(self) -> bool:
        return self.outcome.kind == OutcomeKind.AUTO

    @property
    def group(self) -> DeviceGroup | None:
        device = self.decisive[0].device
        return device.group if device else None

    @property
    def links(self) -> list[tuple[int, int, str]]:
        """(evidence, verdict, code) of each finding."""
        return [(item.pk, item.verdict, result.code) for item, _, result in self.results]

    def again(self, **known: Any) -> "Judged":
        """With what has become known meanwhile."""
        return judge(self.wish, **known)


def judge(wish: Wish, **known: Any) -> Judged:
    """`known` are facts that hold for every finding of the wish; it keeps them."""
    wish.items = [(item, replace(facts, **known)) for item, facts in wish.items]
    results = [(item, facts, policy.decide(facts)) for item, facts in wish.items]
    return Judged(wish, results, policy.strictest(result for _, _, result in results))


def wishes_of(evidence: Sequence[Evidence], rules: Rules) -> list[Wish]:
    """One for each action that is asked for, whichever findings ask for it."""
    merged: dict[tuple[int, str], Wish] = {}
    for item in evidence:
        for wish in _wishes(item, rules):
            if wish.key in merged:
                merged[wish.key].items += wish.items
            else:
                merged[wish.key] = wish
    return list(merged.values())


def rejections(wishes: Iterable[Wish]) -> Mapping[str, str]:
    """Intent -> who last rejected it, anywhere; a rejected intent never comes back as automatic.

    Also what was wished for at first and edited before it was rejected, and a file by any of its names.
    """
    meaning: dict[str, set[str]] = defaultdict(set)
    for wish in wishes:
        for key in wish.meant:
            meaning[key].add(wish.intent_key)
    rejected = Action.objects.filter(decision=Decision.REJECTED)
    as_wished = rejected.filter(intent_key__in=meaning)
    # Said this way so that `action_edited` finds them; all others are found by their intent.
    edited = rejected.filter(~Q(proposal_key=F("intent_key")), proposal_key__in=meaning)
    found = [
        *as_wished.values_list("decided_at", "pk", "intent_key", "decided_by_name"),
        *edited.values_list("decided_at", "pk", "proposal_key", "decided_by_name"),
    ]
    return {intent: name for _, _, key, name in sorted(found) for intent in meaning[key]}


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
    facts = _facts(kind, evidence, rules, effect, routable=place.instance_id is not None)
    return Wish(kind, target, parameters, place.simulated, [(evidence, facts)])


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
) -> Facts:
    device = evidence.device
    group = device.group if device else None
    level = AutomationLevel(group.level) if group else None
    os_family = OsFamily(device.os_family) if device else OsFamily.UNKNOWN
    file_like = EvidenceType(evidence.type) in recipes.FILE_LIKE
    path = evidence.path or str(evidence.facts.get("path", ""))
    place = matching.locate(path, level, rules.folders, file_like=file_like, os_family=os_family)
    spreads = bool(evidence.device_id) and (evidence.investigation_id, evidence.sha256) in rules.spreading
    return Facts(
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
        confidence_floor=rules.confidence_floor,
        altered=evidence.altered,
        expansion=spreads,
        routable=routable,
        group_name=group.name if group else "",
        device_name=device.name if device else "",
        path=path,
        folder=place.folder,
    )


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
    found = matching.match_indicator(_entity_facts(evidence), rules.indicators, now=rules.now)
    return found.effect if found else None


def proposal_of(judged: Judged, *, round_: int) -> Proposal:
    """The action to insert, as it was judged."""
    wish = judged.wish
    evidence, facts = judged.decisive
    group, area = judged.group, CATALOGUE[wish.type].area
    on_device = group if area == Area.DEVICE else None
    return Proposal(
        type=wish.type,
        area=area,
        source=_source(evidence, area),
        decision=Decision.NOT_REQUIRED if judged.automatic else Decision.PENDING,
        targets=[wish.target],
        parameters=wish.parameters,
        investigation_id=wish.investigation_id,
        evidence=judged.links,
        verdict=wish.verdict,
        critical=facts.critical,
        group_id=on_device.pk if on_device else None,
        group_name=on_device.name if on_device else "",
        policy=_snapshot(judged.outcome, facts, group),
        reason_code=judged.outcome.code,
        round=round_,
        simulated=wish.simulated,
    )


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


def standing(wishes: Iterable[Wish]) -> Mapping[tuple[int, str], Action]:
    """(investigation, intent) -> the newest action that stands for it."""
    wanted = list(wishes)
    rows = Action.objects.filter(
        investigation__in={wish.investigation_id for wish in wanted},
        proposal_key__in={wish.intent_key for wish in wanted},
        undo_of__isnull=True,
    )
    return {(row.investigation_id or 0, row.proposal_key): row for row in rows.order_by("round")}
