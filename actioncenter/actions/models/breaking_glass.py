"""An emergency: one person approves what takes several. Loud, and judged by another afterwards."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models.functions import Now

from actioncenter.accounts import fence
from actioncenter.accounts.enums import Severity
from actioncenter.accounts.notices import notify_admins
from actioncenter.actions.models.ballots import ballot_of
from actioncenter.actions.models.conflicts import Conflict, Invalid
from actioncenter.actions.models.deciding import COMMENT_LIMIT, GLASS, decide_one, voter_rights
from actioncenter.actions.models.settling import event, locked
from actioncenter.actions.permissions import Refused, Verb
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.settings.models import Safeguards

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action
    from actioncenter.actions.models.oversight import Review


def break_glass(action: "Action", *, by: Actor, comment: str, **seen: Any) -> "Action":
    """Approve it alone and owe a review. `seen` as for approve.

    Raises Refused (`break_glass_off`, `reauthenticate`, no right of one's own), Conflict, Invalid.
    """
    with fence.decider():
        safeguards = Safeguards.current()
        if not safeguards.break_glass:
            raise Refused("break_glass_off", "Breaking the glass is switched off in the safeguards.")
        decide_one(action, GLASS, ballot_of(action, by=by, comment=comment, mode="break_glass", **seen))
        due = Now() + timedelta(hours=safeguards.break_glass_review_hours)
        reviews: Any = action._meta.get_field("review").related_model
        review = reviews.objects.create(
            action=action, made_by_ref=by.ref, made_by_name=by.name, reason=comment, due_at=due
        )
        review.refresh_from_db()
        rule = action.approval_rule
        waived = {name: rule.get(name) for name in ("quorum", "four_eyes", "second_person")}
        event(
            action,
            Kind.ACTION_BREAK_GLASS,
            by,
            after={"waived": waived, "review_due": review.due_at.isoformat()},
            detail={"comment": comment},
        )
        notify_admins(
            Kind.ACTION_BREAK_GLASS.value,
            title=f"{by.name} broke the glass for {action.label}: {action.what}",
            params={"action": action.pk, "by": by.name, "comment": comment},
            url=f"/action-center/actions/{action.pk}",
            severity=Severity.URGENT,
        )
    return action


def judge(review: "Review", *, by: Actor, justified: bool, comment: str) -> "Review":
    """Say afterwards whether it was right. Raises Refused, Invalid, Conflict, NotVisible."""
    if not comment.strip() or len(comment) > COMMENT_LIMIT:
        raise Invalid("comment", f"Say why, in at most {COMMENT_LIMIT} characters.")
    with fence.decider():
        action = locked(review.action)
        voter_rights(by).require(Verb.APPROVE, action)
        if by.ref == review.made_by_ref:
            raise Refused("own_decision", "Another person than who broke the glass judges it.")
        written = type(review).objects.filter(pk=review.pk, reviewed_at__isnull=True).update(
            reviewed_at=Now(),
            reviewed_by_ref=by.ref,
            reviewed_by_name=by.name,
            justified=justified,
            comment=comment,
        )  # fmt: skip
        if not written:
            raise Conflict(action, "reviewed", f"Somebody has already judged the approval of {action.label}.")
        after, detail = {"justified": justified}, {"comment": comment}
        event(action, Kind.ACTION_REVIEWED, by, before={"justified": None}, after=after, detail=detail)
        if not justified:
            notify_admins(
                Kind.ACTION_REVIEWED.value,
                title=f"{by.name} found that breaking the glass for {action.label} was not justified",
                params={"action": action.pk, "by": by.name, "comment": comment},
                url=f"/action-center/actions/{action.pk}",
                severity=Severity.URGENT,
            )
    review.refresh_from_db()
    return review
