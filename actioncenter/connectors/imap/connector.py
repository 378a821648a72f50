"""The connector: lets a call in, then leaves it to the module whose business it is."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import (
    Capability,
    Continue,
    Done,
    Health,
    Journal,
    Json,
    Observed,
    Outcome,
    Page,
    Permanent,
    Plan,
    Reading,
    Request,
    Transient,
    Unsupported,
)
from actioncenter.connectors.imap import directory, finding, plans, reading
from actioncenter.connectors.imap.capabilities import VERBS, capability, why_not
from actioncenter.connectors.imap.directory import Directory
from actioncenter.connectors.imap.ledger import Ledger
from actioncenter.connectors.imap.mailbox import Mailbox, Wanted
from actioncenter.connectors.imap.running import AnyVerb, Place, Run, judged, unfinished
from actioncenter.connectors.imap.schema import Settings
from actioncenter.connectors.imap.session import Away, Door, NoMailbox, Session
from actioncenter.connectors.imap.sieve_line import SieveLine
from actioncenter.connectors.imap.wire import Lost

KIND = "imap"
BOXES_A_PAGE = 50


class Imap:
    """Acts on behalf of owners through one identity. `clock` gives seconds since the epoch."""

    kind = KIND

    def __init__(
        self, settings: Settings, password: str, clock: Callable[[], float] = time.time, seconds: float = 30.0
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._door = Door(settings, password, seconds)

    def check(self) -> Health:
        try:
            with self._admitted() as session:
                name = session.identity
                facts: Json = {
                    "identity": name or "Message-ID, date and size",
                    "ledger": self._keeps(session),
                }
                known = directory.read(self.settings) if self.settings.directory else Directory((), ())
                facts["mailboxes"] = len(known.addresses)
                facts["scripts"] = bool(self.settings.sieve_port)
                if facts["scripts"]:
                    SieveLine.enter(self._door, self.settings.user).close()
        except (Permanent, Transient) as error:
            if isinstance(error, Transient) and error.throttled:
                raise
            return Health(False, str(error))
        if not facts["ledger"]:
            return Health(False, "The identity has no mailbox of its own to keep its ledger in.", facts)
        said = ["Signed in; other mailboxes are opened in the owner's name.", *known.gaps()]
        return Health(True, " ".join(said), facts)

    def _keeps(self, session: Session) -> bool:
        return "INBOX" in Mailbox(session, self.settings).folders()

    def capabilities(self, kind: TargetKind, remote: str) -> Mapping[ActionType, Capability]:
        return {each: capability(each, kind, self.settings) for each in ActionType}

    def preview(self, request: Request) -> Plan:
        with self._admitted():
            self._verb(request)
            return plans.plan(self._door, request)

    def step(self, request: Request, cursor: Json | None, journal: Journal) -> Done | Continue:
        """A cluster is carried out through the messages of its plan, so that what was approved is what is hit."""
        with self._admitted() as session:
            verb = self._verb(request)
            if any(target.kind is TargetKind.CLUSTER for target in request.targets):
                raise Permanent(
                    "cluster_not_expanded", "A cluster is carried out through the messages of its plan."
                )
            ledger = self._ledger(session, request)
            if cursor is None:
                ledger.tidy()
            return Run(self._door, ledger, verb, request, journal, now=self.clock()).step(cursor)

    def cancel(self, request: Request, cursor: Json | None) -> bool:
        """Whether what is not done yet will stay undone."""
        with self._admitted() as session:
            if why_not(request.type, self.settings):
                return False
            ledger = self._ledger(session, request)
            if {target.key for target in request.targets} <= ledger.read().answers.keys():
                return False
            ledger.cancel()
        return True

    def verify(self, request: Request) -> Observed:
        with self._admitted():
            self._verb(request)
            return plans.verify(self._door, request)

    def lookup(self, request: Request) -> Done | Continue | None:
        with self._admitted() as session:
            verb, records = self._verb(request), self._ledger(session, request).read()
            if not records.known:
                return None
            found = judged(verb, self._door, request.targets, records)
            left = tuple(target.key for target in request.targets if target.key not in found)
            results = [found[target.key] for target in request.targets if target.key in found]
            if not left:
                return Done(results)
            if records.cancelled:
                return Done(unfinished(request.targets, found, Outcome.CANCELLED))
            place = Place(None, left, 1, len(request.targets))
            return Continue(place.json(), 0.0, len(results), place.total, "", results)

    def search(self, criteria: Mapping[str, Any], cursor: Json | None) -> Page:
        """`criteria` as finding.Criteria reads them, with `kind` message; `mailboxes` narrows it."""
        with self._admitted():
            if criteria.get("kind", "message") != "message":
                raise Permanent("criteria", "Only messages can be searched.")
            rest = {name: value for name, value in criteria.items() if name not in {"kind", "mailboxes"}}
            wanted = finding.Criteria.read(rest)
            named = criteria.get("mailboxes")
            known = Directory(tuple(sorted(named)), ()) if named else directory.read(self.settings)
            after = (cursor or {}).get("after", "")
            ahead = [address for address in wanted.among(known.addresses) if address > after]
            hits = finding.find(self._door, wanted, ahead[:BOXES_A_PAGE])
            following = {"after": ahead[BOXES_A_PAGE - 1]} if len(ahead) > BOXES_A_PAGE else None
            found = [{"kind": "message", **plans.reference(each)} for each in hits.found]
            return Page(found, not hits.gaps and not known.odd, following)

    def read(self, mailbox: str, stable_id: str, message_id: str) -> Reading:
        with self._admitted():
            try:
                box = Mailbox(self._door.enter(mailbox), self.settings)
            except (Away, NoMailbox) as error:
                raise Permanent("no_mailbox", f"The mailbox can't be opened. {error}") from error
            try:
                return reading.read(box, Wanted(stable_id, message_id))
            finally:
                box.close()

    def _verb(self, request: Request) -> AnyVerb:
        if reason := why_not(request.type, self.settings):
            raise Unsupported(reason)
        return VERBS[request.type]

    def _ledger(self, session: Session, request: Request) -> Ledger:
        return Ledger(session, request.id, now=self.clock(), keep_days=self.settings.keep_days)

    @contextlib.contextmanager
    def _admitted(self) -> Iterator[Session]:
        """Signed in as ourselves, where the ledger lies."""
        session = self._door.enter()
        try:
            yield session
        except Lost as error:
            raise Transient(f"The mail server can't be spoken to. {error}") from error
        finally:
            session.close()
