"""What a connector's tests provide so that the conformance suite can run against it."""

import uuid
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Artefact, Connector, Continue, Json, Request, Result, Support

STEPS_AT_MOST = 200

FORWARD_OF = {
    entry.inverse: kind
    for kind, entry in sorted(CATALOGUE.items(), reverse=True)
    if entry.inverse is not None
}
"""For each inverse one type that it undoes."""


class Harness(ABC):
    """A connector with something to act on, and hands on the far side.

    `secret` is a text that the connector was given and that must never show up; `clock` is in
    seconds and moves only by `advance`.
    """

    connector: Connector
    secret: str
    has_credentials = True
    """False where a connector signs in nowhere. Say why in its harness."""
    goes_offline = True
    """False where what it acts on is reached whenever the product itself works."""
    has_identity = True
    """False where a connector has nothing to trust: no host key, no certificate. Say why in its harness."""
    identity_code = "identity"
    """`identity_changed` where each target has an identity of its own."""
    has_patience = True
    """False where the far side has no way to ask for patience (429)."""
    searches = True
    """False where nothing can be searched."""

    @abstractmethod
    def request(self, kind: ActionType, targets: int = 1) -> Request:
        """A request that would change something, on targets of its own. Never for an inverse."""

    @abstractmethod
    def effects(self, request: Request) -> Mapping[str, int]:
        """How often the far side really acted, by target key."""

    @abstractmethod
    def digest(self) -> str:
        """Of everything on the far side that a connector could change."""

    @abstractmethod
    def remember(self, request: Request) -> object:
        """What `put_back` needs to bring the request's targets back to how they are now."""

    @abstractmethod
    def put_back(self, request: Request, remembered: object) -> None:
        """Somebody else brings the targets back to how they were."""

    @abstractmethod
    def occupy(self, request: Request) -> None:
        """After the request: somebody else changes the targets so that an undo would overwrite it."""

    @abstractmethod
    def replace_thing(self, request: Request) -> None:
        """Before the request: under the references that it names there is something else now."""

    @abstractmethod
    def lose_answer(self, *, after_effect: bool) -> None:
        """The next call gets no answer."""

    @abstractmethod
    def take_offline(self, request: Request) -> None: ...

    @abstractmethod
    def fail_part(self, request: Request) -> set[str]:
        """Make some targets fail; returns their keys."""

    def slow_down(self, request: Request) -> None:  # noqa: B027 - few have to
        """Before the request: the far side gets on with it only as `advance` lets it, where it would be done at once."""

    @abstractmethod
    def locked_out(self) -> Connector:
        """The same connector with wrong credentials."""

    @abstractmethod
    def ask_for_patience(self, seconds: float) -> None:
        """From now on every call is answered with "too many requests, come again in so many seconds"; 0 ends it."""

    def change_identity(self) -> None:
        """The far side shows another host key or certificate from now on."""
        raise NotImplementedError

    def was_told_the_secret(self) -> bool:
        """Whether the far side with the other identity was sent the secret."""
        raise NotImplementedError

    @abstractmethod
    def advance(self, seconds: float) -> None: ...

    @abstractmethod
    def now(self) -> float: ...

    def opens(self, artefact: Artefact) -> bool:
        """Whether it came whole."""
        return zipfile.ZipFile(BytesIO(b"".join(artefact.blocks()))).testzip() is None

    def supports(self, request: Request) -> bool:
        target = request.targets[0]
        capability = self.connector.capabilities(target.kind, target.remote)[request.type]
        return capability.support is Support.SUPPORTED


@dataclass
class Notes:
    """A journal that remembers."""

    intents: list[str] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)

    def intent(self, keys: Sequence[str]) -> None:
        self.intents += keys

    def touching(self) -> None:
        """In time."""

    def result(self, results: Sequence[Result]) -> None:
        self.results |= {result.key: result for result in results}


class Cut(Exception):
    """The process died here."""


@dataclass
class CutAt(Notes):
    """A journal in which the process dies at the n-th entry, counted from zero."""

    at: int = 0
    entries: int = 0

    def _tick(self) -> None:
        self.entries += 1
        if self.entries > self.at:
            raise Cut

    def intent(self, keys: Sequence[str]) -> None:
        self._tick()
        super().intent(keys)

    def result(self, results: Sequence[Result]) -> None:
        self._tick()
        super().result(results)


@dataclass
class Finished:
    results: dict[str, Result]
    artefacts: list[Artefact]
    cursors: list[Json]
    answers: list[Continue]


def finish(
    harness: Harness, request: Request, cursor: Json | None = None, notes: Notes | None = None
) -> Finished:
    """Step until done, waiting as told on the harness's clock."""
    notes = notes or Notes()
    run = Finished({}, [], [], [])
    for _ in range(STEPS_AT_MOST):
        answer = harness.connector.step(request, cursor, notes)
        run.results |= {result.key: result for result in answer.results}
        run.artefacts += answer.artefacts
        if not isinstance(answer, Continue):
            return run
        cursor = answer.cursor
        run.cursors.append(cursor)
        run.answers.append(answer)
        harness.advance(answer.wait)
    raise AssertionError("it never ends")


def prepared(harness: Harness, kind: ActionType, targets: int = 1) -> Request:
    """A request that would change something; for an inverse, the undo of one that was carried out."""
    if kind not in FORWARD_OF:
        return harness.request(kind, targets)
    forward = harness.request(FORWARD_OF[kind], targets)
    return undo_of(forward, finish(harness, forward)) if harness.supports(forward) else forward


def undo_of(request: Request, run: Finished) -> Request:
    inverse = CATALOGUE[request.type].inverse
    assert inverse is not None
    targets = [replace(target, before=run.results[target.key].before) for target in request.targets]
    return replace(request, id=str(uuid.uuid4()), type=inverse, targets=targets, parameters={})


def ended(harness: Harness, request: Request) -> Result:
    """What became of its only target."""
    (result,) = finish(harness, request).results.values()
    return result


def taken_back(harness: Harness, request: Request, result: Result) -> Result:
    """What became of the undo, where that was the result of its only target."""
    return ended(harness, undo_of(request, Finished({result.key: result}, (), [], [])))


def again(request: Request) -> Request:
    """The same wish under a new id."""
    return replace(request, id=str(uuid.uuid4()))
