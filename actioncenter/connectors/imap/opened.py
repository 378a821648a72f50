"""One mailbox in one step: opened, looked at, touched, closed. What is in it is left to its kinds."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from actioncenter.connectors.base import Json, Result, Target
from actioncenter.connectors.imap.mailbox import Mailbox, Wanted
from actioncenter.connectors.imap.session import Away, Door, NoMailbox

NAMELESS: Final = "no_identity: nothing that this server knows it by was told"


def text(facts: Mapping[str, Any], *names: str) -> str:
    """The first of these facts that says something."""
    return next((str(facts[name]) for name in names if facts.get(name)), "")


def address_of(target: Target) -> str:
    """Whose copy is meant; a tenant's binding reaches every mailbox."""
    return (text(target.facts, "mailbox", "recipient", "address") or target.remote).lower()


def wanted_of(target: Target) -> Wanted:
    """Sources also call an id of their own network a message id; a mail server knows that of the header only."""
    named = (text(target.facts, name).strip() for name in ("internet_message_id", "message_id"))
    message_id = next((name for name in named if "@" in name or name.startswith("<")), "")
    if message_id and not message_id.startswith("<"):
        message_id = f"<{message_id}>"
    return Wanted(text(target.facts, "stable_id"), message_id)


@dataclass
class Opened(ABC):
    """Unless `box` is there, `away` or `missing` says why it can't be opened. Runs in a thread of its own."""

    address: str
    targets: Sequence[Target]
    intents: Mapping[str, Json]
    """What was recorded of a target before it was touched, by an earlier step or by this one."""
    box: Mailbox | None = field(default=None, kw_only=True)
    away: bool = field(default=False, kw_only=True)
    missing: str = field(default="", kw_only=True)
    decisions: dict[str, Any] = field(default_factory=dict, kw_only=True)
    """What is left to do, by target key; each has `touches`, `outcome`, `error`, `before` and `after`."""
    results: dict[str, Result] = field(default_factory=dict, kw_only=True)
    lost: str = field(default="", kw_only=True)
    """Not empty: the line broke after the touch, and what is without a result is unknown."""

    def open(self, door: Door) -> None:
        """Raises Transient and Permanent, which speak of the whole server."""
        if not self.address or "\0" in self.address or self.address == door.settings.user.lower():
            # Nobody's name would open our own mailbox, where the ledger lies.
            self.missing = "no_mailbox: no mailbox of that name may be opened"
            return
        try:
            self.box = Mailbox(door.enter(self.address), door.settings)
        except Away:
            self.away = True
        except NoMailbox as error:
            self.missing = f"no_mailbox: {error}"

    def close(self) -> None:
        if self.box is not None:
            self.box.close()

    @property
    def here(self) -> Mailbox:
        """Once it is open."""
        return cast(Mailbox, self.box)

    @abstractmethod
    def look(self) -> None:
        """How it is now, and what is left to do. Raises Lost."""

    def prepare(self) -> dict[str, Json]:
        """Results of what needs no touch; returns what has to be recorded of the rest before it is touched."""
        fresh: dict[str, Json] = {}
        for key, decision in self.decisions.items():
            if not decision.touches:
                self.results[key] = result_of(key, decision)
            elif self._is_news(key, decision):
                fresh[key] = self.record_of(key)
        self.intents = {**self.intents, **fresh}
        return fresh

    def _is_news(self, key: str, decision: Any) -> bool:
        """A record from before a crash holds, unless it was another way by the time we came back."""
        known = self.intents.get(key)
        return known is None or bool(decision.before and decision.before != known["before"])

    def record_of(self, key: str) -> Json:
        """What has to be known after a crash."""
        decision = self.decisions[key]
        return {"before": decision.before, "after": decision.after}

    @property
    def touching(self) -> list[str]:
        return [key for key in self.decisions if key not in self.results]

    @abstractmethod
    def give_up(self) -> None:
        """What was begun and will not be finished is unknown, unless all of it is as it was before."""

    @abstractmethod
    def carry_out(self) -> None:
        """Never raises Lost: see `lost`."""


def result_of(key: str, decision: Any) -> Result:
    """Of what needs no touch."""
    return Result(key, decision.outcome, decision.before, decision.after, decision.error)
