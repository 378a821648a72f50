"""Actions, their targets, attempts, plans and votes. Split by subject; import from here."""

from actioncenter.actions.models.action import Action
from actioncenter.actions.models.artefact import Artefact
from actioncenter.actions.models.conflicts import Conflict, Invalid, LeaseLost
from actioncenter.actions.models.jobs import ConnectorJob, Duty, RunnerBeat
from actioncenter.actions.models.links import ActionEvidence
from actioncenter.actions.models.oversight import Handover, Review
from actioncenter.actions.models.pacing import ConnectorState
from actioncenter.actions.models.plan import Plan, Vote
from actioncenter.actions.models.proposal import Proposal, TargetDraft
from actioncenter.actions.models.saved import SavedView
from actioncenter.actions.models.searching import MailHit, MailSearch
from actioncenter.actions.models.surprise import Surprise
from actioncenter.actions.models.tally import Tally, TallyReach
from actioncenter.actions.models.target import ActionTarget, Attempt, TargetResult

__all__ = [
    "Action",
    "ActionEvidence",
    "ActionTarget",
    "Artefact",
    "Attempt",
    "Conflict",
    "ConnectorJob",
    "ConnectorState",
    "Duty",
    "Handover",
    "Invalid",
    "LeaseLost",
    "MailHit",
    "MailSearch",
    "Plan",
    "Proposal",
    "Review",
    "RunnerBeat",
    "SavedView",
    "Surprise",
    "Tally",
    "TallyReach",
    "TargetDraft",
    "TargetResult",
    "Vote",
]
