"""Who decided what. Everything goes through the methods that the pages call."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from django.db.models.functions import Now
from django.utils import timezone

from actioncenter.accounts.models import User
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType as T
from actioncenter.actions.enums import Decision, Execution, Source, TargetKind
from actioncenter.actions.models import (
    Action,
    Handover,
    MailSearch,
    Proposal,
    SavedView,
    Surprise,
    TargetDraft,
)
from actioncenter.audit.actor import Actor
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.connectors.simulator.faults import Behaviour
from actioncenter.settings.enums import Role, StopSource
from actioncenter.settings.models import Stop
from investigations.models import Device
from investigations.queries import route

HOUSEKEEPING: Final = Actor.system("runner")


class Named(NamedTuple):
    """An action by its type, the beginning of its target's name, and the device if several have it."""

    type: T
    target: str
    on: str = ""

    def find(self) -> Action:
        actions = Action.objects.filter(
            type=self.type, target_name__startswith=self.target, undo_of__isnull=True
        )
        return (actions.filter(on_name=self.on) if self.on else actions).get()


class Step(NamedTuple):
    by: str
    action: Named
    comment: str = ""


APPROVED: Final = (
    Step("aiko", Named(T.SOFT_DELETE_EMAIL, "Your parcel is on hold"), "Same kit as last month."),
    Step("aiko", Named(T.BLOCK_URL, "https://cdn.parcel-desk.example/")),
    Step("aiko", Named(T.QUARANTINE_ATTACHMENT, "Scan_20261122_0001.pdf.lnk"), "A shortcut, not a scan."),
    Step("sam", Named(T.SOFT_DELETE_EMAIL, "Q4 supplier onboarding"), "Domain was registered yesterday."),
    Step(
        "mira", Named(T.QUARANTINE_FILE, "helper.exe", "FIN-LT-0244"), "Liam confirmed he installed nothing."
    ),
    Step("mira", Named(T.KILL_PROCESS, "helper.exe -connect", "FIN-LT-0244")),
    Step("sam", Named(T.REMOVE_REGISTRY_KEY, "", "FIN-LT-0244"), "Would have come back at the next sign-in."),
    Step("noa", Named(T.QUARANTINE_FILE, "lsdump64.exe", "fin-app-01"), "Agreed with the ledger team."),
    Step("sam", Named(T.QUARANTINE_FILE, "grab.exe", "KIOSK-11")),
)
PARTLY: Final = Step(
    "sam", Named(T.SOFT_DELETE_EMAIL, "Your invoice is overdue, final notice"), "Clear case."
)
REJECTED: Final = (
    Step("aiko", Named(T.SOFT_DELETE_EMAIL, "Team lunch poll"), "It really is about lunch."),
    Step("mira", Named(T.QUARANTINE_FILE, "Budget_2027.xlsm"), "Our own macro, signed by finance."),
    Step("mira", Named(T.QUARANTINE_FILE, "printer_setup_2014.exe"), "Old, but harmless; asked Olga to delete it."),
    Step("sam", Named(T.QUARANTINE_FILE, "vendor.min.js"), "Minified by our own build."),
    Step("jonas", Named(T.QUARANTINE_FILE, "export.dll", "EXEC-LT-02"), "Bought plug-in, vendor was asked."),
)  # fmt: skip
EXPIRED: Final = Named(T.SOFT_DELETE_EMAIL, "Win a tablet")
UNDONE: Final = (
    Step("sam", Named(T.ISOLATE_DEVICE, "", "ENG-WS-087"), "Cleaned and scanned, Dario needs it back."),
    Step("aiko", Named(T.SOFT_DELETE_EMAIL, "Q4 supplier onboarding"), "Purchasing knows the new domain after all."),
)  # fmt: skip
DIRECT: Final = (
    Step("kim", Named(T.ANTIVIRUS_SCAN, "Quick scan", "FIN-LT-0231"), "Before anybody decides."),
    Step("mira", Named(T.COLLECT_PACKAGE, "Package", "FIN-LT-0231"), "For the report."),
)
PART: Final = 0.05
VIEWS: Final = (
    ("mira", "Malicious files", "pending", "entity=file&verdict=malicious", Role.RESPONDER),
    ("sam", "Failed this week", "history", "result=failed&since=week", None),
)
CONCERNS: Final = (
    "FIN-LT-0244 came back twice. If it beacons again, isolate it.\n"
    "Purchasing waits for the supplier's mail; they know that some of it is gone."
)


def tell(run: Callable[[], None], estate: Estate) -> None:
    """Let the people of the demo decide, one after the other; `run` carries out what was decided."""
    for step in APPROVED:
        approve(step)
    for step in REJECTED:
        reject(step)
    expire(EXPIRED)
    for step in DIRECT:
        take(step)
    run()
    estate.behave(Behaviour.PARTIAL, PART)
    approve(PARTLY)
    run()
    estate.behave(Behaviour.PARTIAL, False)
    for step in UNDONE:
        undo(step)
    run()
    hand_the_day_over()
    name_lists()


def hand_the_day_over() -> None:
    """From the day to the night: offered, nobody has taken it yet."""
    if not Handover.objects.exists():
        began = timezone.now() - timedelta(hours=8)
        Handover.offer(by=actor("mira"), since=began, concerns=CONCERNS)


def name_lists() -> None:
    """One for every responder, one of sam's own."""
    if not SavedView.objects.exists():
        for who, name, tab, query, role in VIEWS:
            SavedView.keep(name, tab=tab, query=query, shared_with=role, by=actor(who))


def search_mail() -> None:
    """Once: what was found is forgotten after a week, and then the demo has a search no longer."""
    if not MailSearch.objects.exists():
        MailSearch.ask({"subject_part": ["invoice"]}, by=actor("sam"))


def actor(username: str) -> Actor:
    return User.objects.get(username=username).actor(proved_at=time.time())


def approve(step: Step) -> None:
    action = step.action.find()
    if action.decision == Decision.PENDING:
        action.approve(by=actor(step.by), comment=step.comment)


def reject(step: Step) -> None:
    action = step.action.find()
    if action.decision == Decision.PENDING:
        action.reject(by=actor(step.by), comment=step.comment)


def undo(step: Step) -> None:
    action = step.action.find()
    if action.undone_by_id is None and action.execution == Execution.SUCCEEDED:
        action.undo(by=actor(step.by), comment=step.comment)


def expire(named: Named) -> None:
    """Seven days can't be waited for: the deadline is brought forward, the sweeper does the rest."""
    action = named.find()
    if action.decision == Decision.PENDING:
        Action.objects.filter(pk=action.pk).update(expires_at=Now())
        Action.objects.expire_due(by=HOUSEKEEPING)


def take(step: Step) -> None:
    """A person acts directly, without a finding. Once: the key says so."""
    kind, shown, on = step.action
    by, entry, device = actor(step.by), CATALOGUE[kind], Device.objects.get(name=on)
    way = route(kind, device=device)
    target = TargetDraft(
        kind=TargetKind.DEVICE,
        name=shown,
        on_name=device.name,
        device_id=device.pk,
        instance_id=way.instance_id if way else None,
        instance_name=way.instance_name if way else "",
        remote=way.remote if way else "",
    )
    proposal = Proposal(
        type=kind,
        area=entry.area,
        source=Source.MANUAL_DEVICE,
        decision=Decision.NOT_REQUIRED,
        targets=[target],
        group_id=device.group_id,
        group_name=device.group.name if device.group else "",
        policy={"code": "by_person", "params": {"by": by.name}, "group_id": device.group_id},
        reason_code="by_person",
        comment=step.comment,
        idempotency_key=f"demo-{entry.code}-{device.pk}",
        simulated=True,
    )
    Action.objects.propose(proposal, by=by)


def names() -> Sequence[Named]:
    """Every action that the story speaks of; a test demands that each exists."""
    return [step.action for step in (*APPROVED, PARTLY, *REJECTED, *DIRECT, *UNDONE)] + [EXPIRED]


def resume() -> None:
    """An admin looked at what surprised the product, and lets the rest of its kind go on."""
    jonas = User.objects.get(username="jonas").actor(proved_at=time.time())
    for action in Action.objects.filter(pk__in=Surprise.objects.filter(looked_at=None).values("action")):
        action.acknowledge(by=jonas, comment="Looked on the host: the file was in use.")
    for pause in Stop.objects.in_force().filter(source=StopSource.SYSTEM):
        pause.lift(by=jonas, comment="The others of its kind may go on.")
