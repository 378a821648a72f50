"""The targets of one action, the worst first, a page at a time, however many there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When

from actioncenter.actions.enums import TargetState
from actioncenter.actions.models import ActionTarget
from actioncenter.web.keyset import BadToken, Beyond, seal, unseal

LIST: Final = "targets"
"""Marks tokens, which other lists make too."""
PAGE_SIZE: Final = 100
WORST_FIRST: Final = (
    TargetState.UNKNOWN, TargetState.FAILED, TargetState.TIMED_OUT, TargetState.CANCELLED,
    TargetState.IN_PROGRESS, TargetState.QUEUED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Targets:
    """Which targets of an action are asked for; `state` None for all."""

    action: int
    state: TargetState | None = None
    text: str = ""

    def rows(self) -> QuerySet[ActionTarget]:
        """In no order."""
        found = self._named()
        return found if self.state is None else found.filter(state=self.state)

    def arranged(self) -> QuerySet[ActionTarget]:
        return worst_first(self.rows())

    def counts(self) -> dict[TargetState, int]:
        """Of every state, whichever is asked for."""
        counted = self._named().order_by().values_list("state").annotate(number=Count("pk"))
        return {TargetState(state): number for state, number in counted}

    def _named(self) -> QuerySet[ActionTarget]:
        rows = ActionTarget.objects.filter(action=self.action)
        if not self.text:
            return rows
        # Pages show addresses so that nobody opens them by accident, and people search for what they see.
        texts = {self.text, self.text.replace("[.]", ".").replace("hxxp", "http")}
        found = Q()
        for text in texts:
            found |= Q(name__icontains=text) | Q(on_name__icontains=text)
        return rows.filter(found)


@dataclass(frozen=True, slots=True)
class Page:
    """`first` counts from 1; tokens are empty where nothing follows."""

    rows: Sequence[ActionTarget]
    first: int
    after: str
    before: str


def worst_first(rows: QuerySet[ActionTarget]) -> QuerySet[ActionTarget]:
    """What shows something else than what was done before everything, then as WORST_FIRST has it."""
    badness = Case(
        When(drifted_at__isnull=False, then=Value(-1)),
        *(When(state=state, then=Value(at)) for at, state in enumerate(WORST_FIRST)),
        default=Value(len(WORST_FIRST)),
        output_field=IntegerField(),
    )
    return rows.annotate(badness=badness).order_by("badness", "pk")


def page(asked: Targets, token: str = "") -> Page:
    """Raises BadToken, also for a token of another list or action."""
    position = _position(asked, token)
    back = bool(position and position["back"])
    rows = asked.arranged()
    if position:
        rows = rows.filter(Beyond(("badness", "id"), position["at"], down=back))
    if back:
        rows = rows.reverse()
    found = list(rows[: PAGE_SIZE + 1])
    more, found = len(found) > PAGE_SIZE, found[:PAGE_SIZE]
    if back:
        found.reverse()
    first = max(1, position["first"]) if position and (not back or more) else 1
    after, before = (True, more) if back else (more, position is not None)
    return Page(
        rows=found,
        first=first,
        after=_token(asked, found[-1], first + len(found), back=False) if found and after else "",
        before=_token(asked, found[0], first - PAGE_SIZE, back=True) if found and before else "",
    )


def _position(asked: Targets, token: str) -> Mapping[str, Any] | None:
    if not token:
        return None
    position = unseal(token)
    if position.get("list") != LIST or position.get("action") != asked.action:
        raise BadToken
    return position


def _token(asked: Targets, row: Any, first: int, *, back: bool) -> str:
    at = [row.badness, row.pk]
    return seal({"list": LIST, "action": asked.action, "at": at, "back": back, "first": first})
