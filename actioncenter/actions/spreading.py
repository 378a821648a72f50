"""How far a change of the block list has got with those who pull it: progress beside the result, never part of it."""

from collections.abc import Sequence

from actioncenter.actions.enums import TARGET_SUCCESS, ActionType, TargetState
from actioncenter.actions.models import Action, ActionTarget
from actioncenter.feeds.models import Block, Consumer, progress

KINDS = frozenset({ActionType.BLOCK_URL, ActionType.UNBLOCK_URL})


def spread(action: Action, targets: Sequence[ActionTarget]) -> str:
    """One sentence; empty for what the block list had no part in."""
    blocks = _blocks(action, targets)
    return _sentence(blocks) if blocks else ""


def spreads(action: Action, targets: Sequence[ActionTarget]) -> bool:
    """Whether somebody who takes it has not pulled it yet."""
    blocks = _blocks(action, targets)
    found = progress(blocks) if blocks else None
    return found is not None and found.have < found.able


def _blocks(action: Action, targets: Sequence[ActionTarget]) -> list[Block]:
    if action.type not in KINDS:
        return []
    done = [target for target in targets if TargetState(target.state) in TARGET_SUCCESS]
    return list(Block.objects.filter(key__in=[key for key in map(_key, done) if key]))


def _key(target: ActionTarget) -> str:
    """An undo says itself which block it took back, any other is named by its target."""
    return str(target.before.get("block") or target.pk)


def _sentence(blocks: list[Block]) -> str:
    if not Consumer.objects.filter(revoked_at=None).exists():
        return "Nobody pulls the block list, so this holds for signed links alone."
    found = progress(blocks)
    deaf = f" {_many(found.deaf)} host names alone and can't hear of this." if found.deaf else ""
    if not found.able:
        return f"No consumer can take this.{deaf}"
    if not found.have:
        return f"Not yet pulled by any of {found.able} consumer{'s'[: found.able != 1]}.{deaf}"
    return f"Pulled by {found.have} of {found.able} consumer{'s'[: found.able != 1]}.{deaf}"


def _many(number: int) -> str:
    return "1 other takes" if number == 1 else f"{number} others take"
