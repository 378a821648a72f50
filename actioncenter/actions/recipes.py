"""What a verdict proposes (design §4, domain §3.4). Pure data; `policy` says whether it may run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area
from investigations.enums import EvidenceType, Verdict

_E = EvidenceType
_T = ActionType

BAD = frozenset({Verdict.SUSPICIOUS, Verdict.MALICIOUS})
"""The verdicts that propose anything; no threats found and unknown never do."""

FILE_LIKE = frozenset({_E.FILE})
"""Evidence that must have a path: without one it counts as unresolvable, not as pathless."""

RECIPES: Mapping[tuple[EvidenceType, Area], tuple[ActionType, ...]] = {
    (_E.FILE, Area.DEVICE): (_T.QUARANTINE_FILE,),
    (_E.PROCESS, Area.DEVICE): (_T.KILL_PROCESS, _T.QUARANTINE_FILE),
    (_E.SERVICE, Area.DEVICE): (_T.STOP_SERVICE,),
    (_E.DRIVER, Area.DEVICE): (_T.DISABLE_DRIVER,),
    (_E.SCHEDULED_TASK, Area.DEVICE): (_T.REMOVE_TASK,),
    (_E.REGISTRY, Area.DEVICE): (_T.REMOVE_REGISTRY_KEY,),
    (_E.PERSISTENCE, Area.DEVICE): (
        _T.REMOVE_REGISTRY_KEY, _T.REMOVE_TASK, _T.STOP_SERVICE, _T.QUARANTINE_FILE),
    (_E.URL, Area.EMAIL): (_T.BLOCK_URL,),
    (_E.MAIL_MESSAGE, Area.EMAIL): (_T.SOFT_DELETE_EMAIL,),
    (_E.MAIL_CLUSTER, Area.EMAIL): (_T.SOFT_DELETE_EMAIL,),
    (_E.ATTACHMENT, Area.EMAIL): (_T.QUARANTINE_ATTACHMENT,),
    (_E.FORWARDING, Area.EMAIL): (_T.TURN_OFF_FORWARDING,),
    (_E.DELEGATION, Area.EMAIL): (_T.REMOVE_DELEGATION,),
}  # fmt: skip
"""In the order in which the actions are proposed. A pair that is missing proposes nothing."""

FIRST_ONLY = frozenset({_E.PERSISTENCE})
"""One thing that may be written down in several ways: only the first way its facts describe."""

_FILE = (("path", "sha256", "sha1"),)
_IMAGE = (("image_path", "image_sha256", "path", "sha256", "sha1"),)

NEEDS: Mapping[ActionType, tuple[tuple[str, ...], ...]] = {
    _T.QUARANTINE_FILE: _FILE,
    _T.KILL_PROCESS: (("pid", *_IMAGE[0]),),
    _T.STOP_SERVICE: (("service", "name"),),
    _T.DISABLE_DRIVER: (("driver", "name"),),
    _T.REMOVE_TASK: (("task", "name"),),
    _T.REMOVE_REGISTRY_KEY: (("key",),),
    _T.BLOCK_URL: (("url",),),
    _T.SOFT_DELETE_EMAIL: (("message_id", "network_message_id", "cluster", "query", "members"),),
    _T.QUARANTINE_ATTACHMENT: (("file_name", "sha256", "sha1"), ("message_id", "network_message_id")),
    _T.TURN_OFF_FORWARDING: (("mailbox",),),
    _T.REMOVE_DELEGATION: (("mailbox",), ("delegate",)),
    _T.ISOLATE_DEVICE: (),
}
"""Per action the facts without which it can't be carried out: one of each group must be there.

Beside the facts of the evidence itself, callers set `device`, `mailbox` and `cluster` where the
evidence belongs to one. Every action of the device area needs its device.
"""

# Persistence and processes carry facts of several kinds under one roof, so a plain name, or the
# path of what started, doesn't say which of them is meant.
_NARROWER: Mapping[tuple[EvidenceType, ActionType], tuple[tuple[str, ...], ...]] = {
    (_E.PROCESS, _T.QUARANTINE_FILE): _IMAGE,
    (_E.PERSISTENCE, _T.REMOVE_TASK): (("task",),),
    (_E.PERSISTENCE, _T.STOP_SERVICE): (("service",),),
}


@dataclass(frozen=True, slots=True)
class Proposals:
    """`missing` tells, for what can't be proposed, the facts of which one each is lacking."""

    actions: tuple[ActionType, ...]
    missing: Mapping[ActionType, tuple[tuple[str, ...], ...]]


def recipe(evidence: EvidenceType, verdict: Verdict, area: Area) -> tuple[ActionType, ...]:
    """The action types a verdict on this kind of evidence calls for, whatever is known of it."""
    if verdict not in BAD:
        return ()
    return RECIPES.get((evidence, area), ())


def missing_facts(
    evidence: EvidenceType, action: ActionType, facts: Mapping[str, Any]
) -> tuple[tuple[str, ...], ...]:
    """The groups of facts of which none is known; empty if the action can be carried out."""
    needs = _NARROWER.get((evidence, action), NEEDS[action])
    if CATALOGUE[action].area == Area.DEVICE:
        needs = (("device",), *needs)
    return tuple(group for group in needs if not any(_known(facts.get(name)) for name in group))


def _known(value: Any) -> bool:
    return value not in (None, "", [], {}, ())


def proposals(
    evidence: EvidenceType,
    verdict: Verdict,
    area: Area,
    facts: Mapping[str, Any],
    *,
    isolate: bool = False,
) -> Proposals:
    """What to propose for one finding.

    `isolate` says that the source recommends it or the device group's recipe asks for it; it adds
    the isolation of the finding's device, and it is the only way to get one.
    """
    wanted = recipe(evidence, verdict, area)
    missing = {action: missing_facts(evidence, action, facts) for action in wanted}
    possible = tuple(action for action in wanted if not missing[action])
    if evidence in FIRST_ONLY:
        possible = possible[:1]
    isolation = _isolation(verdict, area, facts) if isolate else ()
    lacking = {} if evidence in FIRST_ONLY and possible else missing
    return Proposals(
        actions=possible + isolation,
        missing={action: groups for action, groups in lacking.items() if groups},
    )


def _isolation(verdict: Verdict, area: Area, facts: Mapping[str, Any]) -> tuple[ActionType, ...]:
    known = area == Area.DEVICE and verdict in BAD and _known(facts.get("device"))
    return (_T.ISOLATE_DEVICE,) if known else ()
