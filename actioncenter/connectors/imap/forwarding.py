"""Forwarding to the outside, off and on again, by which of a mailbox's scripts is the active one.

The owner's scripts are never written: a copy of them that forwards nothing takes their place, so that an undo is exact.
Deciding is pure, as with messages; preview, effect, read-back and what follows a crash go through the same functions.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from actioncenter.actions.enums import ActionType as T
from actioncenter.connectors.base import Json, Outcome, Result, Target
from actioncenter.connectors.imap.opened import Opened
from actioncenter.connectors.imap.session import Door
from actioncenter.connectors.imap.sieve import Script, Unreadable, read
from actioncenter.connectors.imap.sieve_line import SieveLine
from actioncenter.connectors.imap.wire import Lost

OURS: Final = "actioncenter-"
MOST: Final = 50
"""Scripts that include one another; more is taken for a fault."""


@dataclass(frozen=True, slots=True)
class Scripts:
    """`active` is the name of the script that counts, "" where none does; `found` is that one and all it includes,
    `compared` the digests of those that an undo asks about.
    """

    names: frozenset[str]
    active: str
    found: Mapping[str, Script]
    compared: Mapping[str, str]
    domains: Collection[str]

    def leaving(self) -> dict[str, list[str]]:
        """By script, the addresses outside that mail goes to."""
        each = {
            name: [forward.to for forward in script.forwards if forward.leaves(self.domains)]
            for name, script in self.found.items()
        }
        return {name: list(dict.fromkeys(addresses)) for name, addresses in each.items() if addresses}

    def shown(self) -> Json:
        return {"active": self.active, "external": self.leaving(), "unseen": self.unseen()}

    def unseen(self) -> list[str]:
        return sorted({word for script in self.found.values() for word in script.unseen})

    def are(self, digests: Mapping[str, str]) -> bool:
        """Whether these scripts are there and as they were."""
        return all(self.compared.get(name) == known for name, known in digests.items())

    def copies(self) -> dict[str, tuple[str, bytes]]:
        """Of each script by which mail leaves, or which includes such a one: the name and text of our copy."""
        changed = set(self.leaving())
        while more := {name for name in self.found if self._includes(name) & changed} - changed:
            changed |= more
        renamed = {name: f"{OURS}{_mark(name, self.found[name].content)}" for name in changed}
        return {
            name: (renamed[name], self.found[name].without(self.domains, renamed)) for name in sorted(changed)
        }

    def _includes(self, name: str) -> set[str]:
        return {token.value for token in self.found[name].includes}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _mark(name: str, content: bytes) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape") + b"\0" + content).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Change:
    """`puts` and then `active` and then `drops` are what is left to do; where all are empty, `outcome` is the end."""

    puts: Mapping[str, bytes] = field(default_factory=dict)
    active: str = ""
    drops: Sequence[str] = ()
    outcome: Outcome = Outcome.SUCCEEDED
    error: str = ""
    before: Json = field(default_factory=dict)
    after: Json = field(default_factory=dict)

    @property
    def touches(self) -> bool:
        return bool(self.puts or self.active or self.drops)


def turns_off(target: Target, scripts: Scripts) -> Change:
    """Every forward to the outside, also in what is included. What is forwarded inside goes on."""
    copies = scripts.copies()
    after: Json = {"external": {}, "unseen": scripts.unseen()}
    if not copies:
        return Change(outcome=Outcome.ALREADY, after=after)
    main = copies[scripts.active][0]
    before = {
        "active": scripts.active,
        "scripts": {name: digest(scripts.found[name].content) for name in copies},
        "ours": {name: digest(content) for name, content in copies.values()},
        "external": scripts.leaving(),
    }
    return Change(dict(copies.values()), main, before=before, after={**after, "active": main})


def turns_on(target: Target, scripts: Scripts) -> Change:
    """The owner's own script counts again, unless somebody changed it, our copy, or which of them counts."""
    before = target.before
    if "active" not in before:
        return Change(
            outcome=Outcome.FAILED, error="nothing_recorded: there is no record of what was turned off"
        )
    ours = [name for name in before["ours"] if name in scripts.names]
    after = {"active": before["active"], "external": before["external"]}
    if not scripts.are(before["scripts"]):
        return _conflict(scripts)
    if scripts.active == before["active"]:
        return Change(drops=ours, outcome=Outcome.ALREADY, after=after)
    if scripts.active in before["ours"] and scripts.are(before["ours"]):
        return Change(active=before["active"], drops=ours, after=after)
    return _conflict(scripts)


def _conflict(scripts: Scripts) -> Change:
    error = "conflict: the scripts were changed since and are left as they are"
    return Change(outcome=Outcome.FAILED, error=error, after=scripts.shown())


@dataclass(frozen=True, slots=True)
class ScriptVerb:
    """`says` ends a sentence about external forwards."""

    decide: Callable[[Target, Scripts], Change]
    says: str


VERBS: Final[Mapping[T, ScriptVerb]] = {
    T.TURN_OFF_FORWARDING: ScriptVerb(turns_off, "stops"),
    T.RESTORE_FORWARDING: ScriptVerb(turns_on, "goes on as before"),
}


def decide(verb: ScriptVerb, target: Target, scripts: Scripts, intent: Json | None) -> Change:
    """What is left to do, a step that broke off in the middle included."""
    change = verb.decide(target, scripts)
    if change.touches or change.outcome is not Outcome.ALREADY or not intent:
        return change
    if scripts.active != intent["after"]["active"]:
        return change
    return Change(before=intent["before"], after=intent["after"])


def holds(verb: ScriptVerb, target: Target, scripts: Scripts) -> bool:
    """Whether the wanted state is there."""
    found = verb.decide(target, scripts)
    return found.outcome is Outcome.ALREADY and not found.touches


@dataclass
class ScriptWork(Opened):
    """On the scripts of one mailbox in one step."""

    verb: ScriptVerb
    scripts: Scripts | None = None
    """None until they have been read; stays so where they can't be understood."""
    line: SieveLine | None = None

    def open(self, door: Door) -> None:
        super().open(door)
        if self.box is not None:
            self.line = SieveLine.enter(door, self.address)

    def close(self) -> None:
        super().close()
        if self.line is not None:
            self.line.close()

    def look(self) -> None:
        try:
            self.scripts = self._read()
        except Unreadable as error:
            self.missing = f"unreadable: a script of this mailbox can't be judged. {error}"
            return
        for target in self.targets:
            change = decide(self.verb, target, self.scripts, self.intents.get(target.key))
            self.decisions[target.key] = change

    def _read(self) -> Scripts:
        names, active = self._line.names()
        found: dict[str, Script] = {}
        wanted = [active]
        while wanted:
            name = wanted.pop()
            content = self._line.get(name) if name in names and name not in found else None
            if content is None:
                continue
            if len(found) == MOST:
                raise Unreadable("Too many scripts include one another.")
            found[name] = read(content)
            wanted += [token.value for token in found[name].includes]
        return Scripts(frozenset(names), active, found, self._compared(names), self.here.settings.domains)

    def _compared(self, names: Collection[str]) -> dict[str, str]:
        before = [target.before.get(part, {}) for target in self.targets for part in ("scripts", "ours")]
        wanted = {name for part in before for name in part} & set(names)
        contents = {name: self._line.get(name) for name in sorted(wanted)}
        return {name: digest(content) for name, content in contents.items() if content is not None}

    @property
    def _line(self) -> SieveLine:
        return cast(SieveLine, self.line)

    def give_up(self) -> None:
        """Until another script is the active one nothing has happened; afterwards only our own copies are left."""
        for key in self.touching:
            if not self.decisions[key].active:
                self.results[key] = self._done(key)

    def _done(self, key: str) -> Result:
        intent = self.intents[key]
        return Result(key, Outcome.SUCCEEDED, intent["before"], intent["after"])

    def carry_out(self) -> None:
        """Touch and read back. What the owner changes in between is never overwritten: his scripts aren't written at all."""
        try:
            for target in [each for each in self.targets if each.key not in self.results]:
                self.results[target.key] = self._carried_out(target)
        except (Lost, Unreadable) as error:
            self.lost = str(error)

    def _carried_out(self, target: Target) -> Result:
        scripts = self._read()
        change = decide(self.verb, target, scripts, self.intents[target.key])
        if change.before != self.decisions[target.key].before:
            return Result(target.key, Outcome.FAILED, error="conflict: the scripts were changed meanwhile")
        error = self._touch(change) if change.touches else change.error
        if not error and not holds(self.verb, target, self._read()):
            error = "conflict: the scripts were changed meanwhile"
        return Result(target.key, Outcome.FAILED, error=error) if error else self._done(target.key)

    def _touch(self, change: Change) -> str:
        """The first refusal; what was laid down for nothing is taken away again."""
        line = self._line
        error = next((said for name, content in change.puts.items() if (said := line.put(name, content))), "")
        if not error and change.active:
            error = line.activate(change.active)
        for name in change.puts if error else change.drops:
            line.delete(name)
        return error
