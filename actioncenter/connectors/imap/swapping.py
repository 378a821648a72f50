"""The attachments of one mailbox in one step: looked at, taken out or put back, read back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from actioncenter.connectors.base import Outcome, Result, Target
from actioncenter.connectors.imap.attachments import (
    AttachmentVerb,
    Case,
    Decision,
    Held,
    Swap,
    digest,
    spliced,
    wish_of,
)
from actioncenter.connectors.imap.mailbox import Copy, Wanted
from actioncenter.connectors.imap.opened import NAMELESS, Opened, result_of, wanted_of
from actioncenter.connectors.imap.splicing import carried
from actioncenter.connectors.imap.wire import Lost


@dataclass
class AttachmentWork(Opened):
    """Holds the text of one message at a time."""

    verb: AttachmentVerb
    cases: dict[str, Case] = field(default_factory=dict)

    def look(self, targets: Sequence[Target] | None = None) -> None:
        quarantine = self.here.named(self.here.settings.quarantine)
        for target in self.targets if targets is None else targets:
            if not wanted_of(target).is_named:
                self.decisions[target.key] = Decision(outcome=Outcome.FAILED, error=NAMELESS)
                continue
            case = Case(target, list(self._held(target)), quarantine, self.intents.get(target.key))
            self.cases[target.key], self.decisions[target.key] = case, self.verb.decide(case)

    def _held(self, target: Target) -> Iterator[Held]:
        """Copies of the message, and whatever else goes by its Message-ID: the copies without the part do."""
        named = wanted_of(target)
        copies = self.here.locate([named])
        others = [Wanted(message_id=copy.message_id) for copy in copies if copy.message_id]
        for copy in dict.fromkeys([*copies, *self.here.locate(list(dict.fromkeys(others)))]):
            raw = self._text(copy)
            held = None if raw is None else Held.of(copy, raw, wish_of(target))
            if held is not None and (named.meets(copy) or not held.carries):
                # Without a Message-ID the copy without the part would not be found again.
                yield held if copy.message_id else replace(held, stub="")

    def _text(self, copy: Copy) -> bytes | None:
        found = self.here.described([(copy.folder, copy.uidvalidity, [copy.uid])], "BODY.PEEK[]")
        return next((bytes(items["BODY[]"] or b"") for _, items in found), None)

    def give_up(self) -> None:
        for key in self.touching:
            if self.decisions[key].begun:
                error = "unclear: it broke off in the middle"
                self.results[key] = Result(key, Outcome.UNKNOWN, error=error)

    def carry_out(self) -> None:
        try:
            for key in self.touching:
                case, swaps = self.cases[key], self.decisions[key].swaps
                error = next((said for swap in swaps if (said := self._swap(case, swap))), "")
                self.results[key] = self._read_back(case.target, error)
        except Lost as error:
            self.lost = str(error)

    def _swap(self, case: Case, swap: Swap) -> str:
        """Empty, or why not. Raises Lost."""
        laid, at = None, (swap.original.uidvalidity, swap.original.uid)
        if swap.lay:
            laid, error = self._lay(case, swap)
            if error:
                return error
        if swap.original.folder != swap.to:
            moved = self.here.move([swap.original], swap.to)
            at = moved.to.get(swap.original.at, (0, 0))
            if not at[1]:
                return moved.refused.get(swap.original.at) or self._vanished(swap.original, laid)
        if swap.drop is None:
            return ""
        return self.here.mark(swap.to, at, swap.drop.flags) or self.here.erase([swap.drop])

    def _lay(self, case: Case, swap: Swap) -> tuple[Copy | None, str]:
        original = swap.original
        raw = self._text(original)
        wish = wish_of(case.target)
        stub = None if raw is None else spliced(raw, carried(raw, wish), wish)
        if stub is None or digest(stub) != swap.lay:
            return None, "conflict: the message was changed meanwhile"
        uidvalidity, uid, error = self.here.append(original.folder, original.flags, original.date, stub)
        return replace(original, uidvalidity=uidvalidity, uid=uid, id=""), error

    def _vanished(self, original: Copy, laid: Copy | None) -> str:
        """Its owner deleted it while we were at it: what we laid down beside it must not bring it back."""
        gone = not any(copy.at == original.at for copy in self.here.locate([Wanted(original.id)]))
        if gone and laid is not None and laid.uid:
            return self.here.expunge([laid])
        return "" if gone else "not_moved: it stayed where it was"

    def _read_back(self, target: Target, error: str) -> Result:
        self.here.forget_folders()
        self.look([target])
        now = self.decisions[target.key]
        if now.touches:
            return Result(target.key, Outcome.FAILED, error=error or "not_moved: it stayed where it was")
        return result_of(target.key, now)
