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
    (_E.PERSISTENCE, Area.DEVICE): (_T.REMOVE_REGISTRY_KEY, _T.QUARANTINE_FILE),
    (_E.URL, Area.EMAIL): (_T.BLOCK_URL,),
    (_E.MAIL_MESSAGE, Area.EMAIL): (_T.SOFT_DELETE_EMAIL,),
    (_E.MAIL_CLUSTER, Area.EMAIL): (_T.SOFT_DELETE_EMAIL,),
    (_E.ATTACHMENT, Area.EMAIL): (_T.QUARANTINE_ATTACHMENT,),
    (_E.FORWARDING, Area.EMAIL): (_T.TURN_OFF_FORWARDING,),
    (_E.DELEGATION, Area.EMAIL): (_T.REMOVE_DELEGATION,),
}  # fmt: skip
"""In the order in which the actions are proposed. A pair that is missing proposes nothing."""

FIRST_ONLY = frozenset({_E.PERSISTENCE})
"""Written down in one of several ways: only the first that its facts describe is proposed."""

_FILE = ("path", "sha256", "sha1")
_MESSAGE = ("message_id", "internet_message_id")

NEEDS: Mapping[ActionType, tuple[tuple[str, ...], ...]] = {
    _T.QUARANTINE_FILE: (_FILE,),
    _T.KILL_PROCESS: (("pid", *_FILE),),
    _T.STOP_SERVICE: (("name",),),
    _T.DISABLE_DRIVER: (("name",),),
    _T.REMOVE_TASK: (("name",),),
    _T.REMOVE_REGISTRY_KEY: (("key",),),
    _T.BLOCK_URL: (("url",),),
    _T.SOFT_DELETE_EMAIL: ((*_MESSAGE, "cluster_id", "query", "message_ids", "members"),),
    _T.QUARANTINE_ATTACHMENT: (("file_name", "sha256", "sha1"), _MESSAGE),
    _T.TURN_OFF_FORWARDING: (("mailbox",),),
    _T.REMOVE_DELEGATION: (("mailbox",), ("delegate",)),
    _T.ISOLATE_DEVICE: (),
}
"""Per action the facts without which it can't be carried out: one of each group must be there.

The names are those of evidence facts (investigations.intake.documents); callers add `device` and
`mailbox` where the evidence belongs to one. Every action of the device area needs its device.
"""


@dataclass(frozen=True, slots=True)
class Proposals:
    """`missing` tells why the rest can't be proposed: of each group of facts one would be needed."""

    actions: tuple[ActionType, ...]
    missing: Mapping[ActionType, tuple[tuple[str, ...], ...]]


def recipe(evidence: EvidenceType, verdict: Verdict, area: Area) -> tuple[ActionType, ...]:
    """The action types a verdict on this kind of evidence calls for, whatever is known of it."""
    if verdict not in BAD:
        return ()
    return RECIPES.get((evidence, area), ())


def missing_facts(action: ActionType, facts: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The groups of facts of which none is known; empty if the action can be carried out."""
    needs = NEEDS[action]
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
    the isolation of the finding's device, and there is no other way to get one.
    """
    wanted = recipe(evidence, verdict, area)
    if isolate and area == Area.DEVICE and verdict in BAD:
        wanted += (_T.ISOLATE_DEVICE,)
    missing = {action: missing_facts(action, facts) for action in wanted}
    if evidence in FIRST_ONLY:
        ways = RECIPES.get((evidence, area), ())
        way = next((action for action in ways if not missing.get(action, True)), None)
        if way is not None:
            missing = {
                action: lacking for action, lacking in missing.items() if action not in ways or action == way
            }
    return Proposals(
        actions=tuple(action for action, lacking in missing.items() if not lacking),
        missing={action: lacking for action, lacking in missing.items() if lacking},
    )
