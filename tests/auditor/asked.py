"""Everything that somebody can ask of a page that changes something: who, what, and which events it must leave.

One entry for each address that takes a form, under its name; those with verbs have one for each of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from actioncenter.accounts.models import User
from actioncenter.accounts.shortcuts import bindings
from actioncenter.actions.enums import ActionType
from actioncenter.actions.models import Action, SavedView, pacing
from actioncenter.actions.models.shift import SECTIONS
from actioncenter.audit.actor import Actor
from actioncenter.audit.anchor import Anchor
from actioncenter.audit.enums import Kind
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.feeds.enums import FeedFormat
from actioncenter.feeds.models import Consumer
from actioncenter.settings.enums import AutomationLevel, Role
from actioncenter.settings.models import (
    ApprovalRule,
    Breaker,
    ConnectorInstance,
    Destination,
    FolderExclusion,
    LegalHold,
    Retention,
    Safeguards,
)
from actioncenter.settings.models.restoring import hold
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.test_handover import offered
from tests.actions.varied import proposed
from tests.auditor import lives
from tests.auditor.lives import Run, by
from tests.settings.stopping import pull
from tests.settings.test_rules_page import FIELDS

Form = Mapping[str, Any]
ACTIONS: Final = "/action-center/actions"


@dataclass(frozen=True, slots=True)
class Asked:
    who: str
    prepare: Callable[[Run, Estate], tuple[str, Form]]
    """The address and what is sent there."""
    leaves: frozenset[Kind]


def asked(who: str, prepare: Callable[[Run, Estate], tuple[str, Form]], *leaves: Kind) -> Asked:
    return Asked(who, prepare, frozenset(leaves))


def at(path: str, form: Form | None = None) -> Callable[[Run, Estate], tuple[str, Form]]:
    return lambda run, estate: (path, form or {})


def verb(name: str, life: lives.Life, **form: Any) -> Callable[[Run, Estate], tuple[str, Form]]:
    def prepare(run: Run, estate: Estate) -> tuple[str, Form]:
        action = life(run, estate)
        return f"{ACTIONS}/{action.pk}/{name}", {"comment": "I looked.", "revision": 1, **form}

    return prepare


def waiting(run: Run, estate: Estate) -> Action:
    return factories.waiting_action()


def _two_needed(run: Run, estate: Estate) -> Action:
    ApprovalRule.objects.create(quorum=2)
    factories.person("noa")
    action = proposed(ActionType.ISOLATE_DEVICE)
    action.targets.update(instance=1)
    return action


def _glass_broken(run: Run, estate: Estate) -> tuple[str, Form]:
    action = _two_needed(run, estate).break_the_glass(by=by("mira"), comment="It spreads.")
    return f"/action-center/reviews/{action.review.pk}", {"justified": "yes", "comment": "It did."}


def _drifted(run: Run, estate: Estate) -> Action:
    action = lives.isolated(run)
    assert action.device is not None
    lives.set_free(estate, action.device)
    lives.look(action)
    return action


def _undo_failed(run: Run, estate: Estate) -> Action:
    action = lives.isolated(run)
    estate.behave("refuse", "locked")
    undo = action.undo(by=by("mira"), comment="Harmless.")
    run(undo)
    estate.behave_normally()
    return undo


def _bulk(name: str, life: lives.Life) -> Callable[[Run, Estate], tuple[str, Form]]:
    def prepare(run: Run, estate: Estate) -> tuple[str, Form]:
        selected = [str(life(run, estate).pk) for _ in range(2)]
        return "/action-center/bulk", {"verb": name, "selected": selected, "comment": "I looked."}

    return prepare


def _edit(run: Run, estate: Estate) -> tuple[str, Form]:
    action = proposed(ActionType.ISOLATE_DEVICE)
    return f"{ACTIONS}/{action.pk}/edit", {"isolation": "selective", "hours": "0", "revision": "1"}


def _taken_back_by_hand(run: Run, estate: Estate) -> tuple[str, Form]:
    return f"/devices/{lives.isolated(run).device_id}/release_device", {"comment": "It is clean."}


def _file_by_hand(run: Run, estate: Estate) -> tuple[str, Form]:
    found = factories.file_evidence(factories.device())
    return f"/files/{found.sha256}/quarantine_file", {"device": found.device_id, "comment": "Known bad."}


def _taken(run: Run, estate: Estate) -> Action:
    return factories.waiting_action().take(by=by("mira"))


def _on_view(verb: str) -> Callable[[Run, Estate], tuple[str, Form]]:
    def prepare(run: Run, estate: Estate) -> tuple[str, Form]:
        made = SavedView.keep("Mine", tab="pending", query="", shared_with=None, by=by("mira"))
        return f"/action-center/views/{made.pk}/{verb}", {"name": "Ours"}

    return prepare


def _on_shared_view(run: Run, estate: Estate) -> tuple[str, Form]:
    made = SavedView.keep("Ours", tab="pending", query="", shared_with=Role.RESPONDER, by=by("mira"))
    return f"/action-center/views/{made.pk}/remove", {}


def _consumer(run: Run, estate: Estate) -> tuple[str, Form]:
    made, _ = Consumer.add("resolver", FeedFormat.RPZ, by=by("noa"))
    return f"/settings/feeds/consumers/{made.pk}/revoke", {}


def _hand_over(run: Run, estate: Estate) -> tuple[str, Form]:
    return f"{ACTIONS}/{factories.waiting_action().pk}/hand-over", {"to": factories.person("sam").pk}


def _handover(name: str) -> Callable[[Run, Estate], tuple[str, Form]]:
    def prepare(run: Run, estate: Estate) -> tuple[str, Form]:
        factories.waiting_action()
        form = {"point": ["isolated laptop", "phish campaign", "flaky connector"], "seen": list(SECTIONS)}
        return f"/action-center/handover/{offered().pk}/{name}", form

    return prepare


def _pace(run: Run, estate: Estate) -> tuple[str, Form]:
    row = ConnectorInstance.objects.get()
    return f"/settings/connectors/{row.pk}/pace", {"max_parallel": 3, "per_minute": row.per_minute}


def _reset(run: Run, estate: Estate) -> tuple[str, Form]:
    row = ConnectorInstance.objects.get()
    for _ in range(pacing.FAILURES):
        pacing.failed(row.pk, "The estate refused the sign-in.", by=RUNNER)
    return f"/settings/connectors/{row.pk}/reset", {"comment": "Renewed."}


CONNECTOR: Final = {
    "name": "Lab", "priority": "5", "option-path": "/nowhere/lab.sqlite3", "option-delivery": "keyed",
    "option-chunk": "10", "option-pace": "0", "revision": "0",
}  # fmt: skip
VIEW: Final = {"name": "Mine", "tab": "pending", "query": "verdict=malicious"}
STREAM: Final = {"name": "SIEM", "address": "https://siem.example/in", "what": "events", "secret": "s" * 24}


def _on_connector(name: str, form: Form) -> Callable[[Run, Estate], tuple[str, Form]]:
    def prepare(run: Run, estate: Estate) -> tuple[str, Form]:
        row = ConnectorInstance.add("simulator", "Lab", {}, by=by("noa"), simulated=True)
        return f"/settings/connectors/{row.pk}/{name}", form

    return prepare


def _on_stream(name: str, form: Form) -> Callable[[Run, Estate], tuple[str, Form]]:
    def prepare(run: Run, estate: Estate) -> tuple[str, Form]:
        row = Destination.add(**STREAM, so_far=False, by=by("noa"))
        return f"/settings/streams/{row.pk}/{name}", form

    return prepare


def _hold(run: Run, estate: Estate) -> tuple[str, Form]:
    return "/audit/retention/holds", {"subject": factories.waiting_action().label, "reason": "Order."}


def _on_shortening(name: str) -> Callable[[Run, Estate], tuple[str, Form]]:
    def prepare(run: Run, estate: Estate) -> tuple[str, Form]:
        row = Retention.change(days=365, by=Actor.command("retention"))
        assert row is not None
        return f"/audit/retention/shortenings/{row.pk}/{name}", {}

    return prepare


def _let_go(run: Run, estate: Estate) -> tuple[str, Form]:
    row = LegalHold.place("action:1", by=by("noa"), reason="Order.")
    return f"/audit/retention/holds/{row.pk}/release", {"reason": "Lifted."}


def _level(wanted: AutomationLevel) -> Callable[[Run, Estate], tuple[str, Form]]:
    def prepare(run: Run, estate: Estate) -> tuple[str, Form]:
        return f"/settings/groups/{factories.group().pk}/level", {
            "level": str(wanted.value),
            "comment": "So.",
        }

    return prepare


def _raise(name: str) -> Callable[[Run, Estate], tuple[str, Form]]:
    def prepare(run: Run, estate: Estate) -> tuple[str, Form]:
        waits = factories.group().change_level(
            AutomationLevel.FULL, by=_second_admin(), comment="Quiet by now."
        )
        assert waits is not None
        return f"/settings/raises/{waits.pk}/{name}", {}

    return prepare


def _second_admin() -> Any:
    ada = User.objects.enrol("ada", by=factories.SETUP, roles=[Role.ADMIN], display_name="Ada Second")
    return factories.actor(ada)


def _keep_level(run: Run, estate: Estate) -> tuple[str, Form]:
    row = factories.group("Kiosks", AutomationLevel.FULL)
    return f"/settings/groups/{row.pk}/level/keep", {"revision": row.revision}


def _rule(name: str) -> Callable[[Run, Estate], tuple[str, Form]]:
    def prepare(run: Run, estate: Estate) -> tuple[str, Form]:
        row = ApprovalRule.add(by=by("noa"), quorum=3)
        return f"/settings/rules/{row.pk}{name}", {**FIELDS, "revision": row.revision}

    return prepare


def _safeguards(run: Run, estate: Estate) -> tuple[str, Form]:
    return "/settings/safeguards", {**Safeguards.current().figures, "break_glass": "on", "device_cap": "4"}


def _breaker(run: Run, estate: Estate) -> tuple[str, Form]:
    row = Breaker.objects.create(
        group=factories.group("Kiosks", AutomationLevel.FULL), action_type=ActionType.QUARANTINE_FILE, bad=4, of=20,
        cool_until="2020-01-01T00:00:00Z",
    )  # fmt: skip
    return f"/settings/safeguards/breakers/{row.pk}/restore", {"comment": "Mended."}


def _renew(run: Run, estate: Estate) -> tuple[str, Form]:
    row = FolderExclusion.objects.create(folder=r"D:\Builds")
    return f"/settings/safeguards/exclusion/{row.pk}/renew", {}


def _stop(name: str, form: Form) -> Callable[[Run, Estate], tuple[str, Form]]:
    return lambda run, estate: (f"/settings/stops/{pull().pk}/{name}", form)


def _restored(run: Run, estate: Estate) -> tuple[str, Form]:
    hold("Event 7 is missing", host="h1", anchor=Anchor(epoch=1, event=7), by=RUNNER)
    return "/settings/health/accept-restored", {"comment": "Looked."}


ON_ONE: Final[Mapping[str, Asked]] = {
    "approve": asked("mira", verb("approve", waiting), Kind.ACTION_APPROVED),
    "reject": asked("mira", verb("reject", waiting), Kind.ACTION_REJECTED),
    "break-glass": asked("mira", verb("break-glass", _two_needed), Kind.ACTION_BREAK_GLASS),
    "undo": asked("mira", verb("undo", lives.done), Kind.ACTION_UNDONE, Kind.ACTION_PROPOSED),
    "cancel": asked("mira", verb("cancel", lives.claimed), Kind.ACTION_CANCEL_REQUESTED),
    "retry": asked("mira", verb("retry", lives.failed), Kind.ACTION_RETRIED),
    "acknowledge": asked("mira", verb("acknowledge", _undo_failed), Kind.ACTION_ACKNOWLEDGED),
    "seen": asked("mira", verb("seen", _drifted), Kind.ACTION_DRIFT_ACKNOWLEDGED),
    "again": asked("mira", verb("again", _drifted), Kind.ACTION_PROPOSED),
    "extend": asked(
        "mira", verb("extend", lambda run, _: lives.isolated(run, hours=4), hours=2), Kind.ACTION_EXTENDED
    ),
    "happened": asked("mira", verb("happened", lives.lost), Kind.ACTION_RECONCILED),
    "not-happened": asked("mira", verb("not-happened", lives.lost), Kind.ACTION_RECONCILED),
}
IN_BULK: Final[Mapping[str, Asked]] = {
    "approve": asked("mira", _bulk("approve", waiting), Kind.ACTION_APPROVED),
    "reject": asked("mira", _bulk("reject", waiting), Kind.ACTION_REJECTED),
    "undo": asked("mira", _bulk("undo", lives.done), Kind.ACTION_UNDONE),
}
OTHERS: Final[Mapping[str, Asked]] = {
    "confirm_identity": asked(
        "mira", at("/confirm-identity", {"password": factories.PASSWORD}), Kind.SESSION_PROVED
    ),
    "confirm_identity wrong": asked(
        "mira", at("/confirm-identity", {"password": "wrong"}), Kind.SESSION_SIGN_IN_FAILED
    ),
    "sign_out": asked("mira", at("/sign-out"), Kind.SESSION_SIGNED_OUT),
    "theme": asked("mira", at("/theme", {"theme": "dark"}), Kind.USER_CHANGED),
    "notices_by_mail": asked("mira", at("/notices/mail", {}), Kind.USER_CHANGED),
    "investigations:act": asked("mira", lives.by_hand, Kind.ACTION_PROPOSED),
    "investigations:act look": asked("mira", lives.looked_at_first, Kind.JOB_REQUESTED),
    "investigations:act inverse": asked(
        "mira", _taken_back_by_hand, Kind.ACTION_PROPOSED, Kind.ACTION_UNDONE
    ),
    "investigations:act_on_file": asked("mira", _file_by_hand, Kind.ACTION_PROPOSED),
    **{name: asked("aiko", *each) for name, each in lives.MAIL.items()},
    "actions:defer": asked("mira", verb("defer", waiting, hours=2), Kind.ACTION_DEFERRED),
    "actions:hand_over": asked("mira", _hand_over, Kind.ACTION_HANDED_OVER),
    "actions:take": asked("mira", verb("take", waiting), Kind.ACTION_TAKEN),
    "actions:give_back": asked("mira", verb("give-back", _taken), Kind.ACTION_GIVEN_BACK),
    "actions:comment": asked("mira", verb("comment", waiting, comment="@sam?"), Kind.ACTION_COMMENTED),
    "actions:edit": asked("mira", _edit, Kind.ACTION_EDITED),
    "actions:offer_handover": asked(
        "mira", at("/action-center/handover/offer", {"hours": 8}), Kind.HANDOVER_OFFERED
    ),
    "actions:accept_handover": asked("sam", _handover("accept"), Kind.HANDOVER_ACCEPTED),
    "actions:cancel_handover": asked("mira", _handover("cancel"), Kind.HANDOVER_CANCELLED),
    "actions:save_view": asked("mira", at("/action-center/views/save", VIEW), Kind.VIEW_SAVED),
    "actions:rename_view": asked("mira", _on_view("rename"), Kind.VIEW_RENAMED),
    "actions:remove_view": asked("mira", _on_view("remove"), Kind.VIEW_REMOVED),
    "actions:remove_view shared": asked("noa", _on_shared_view, Kind.VIEW_REMOVED),
    "actions:judge": asked("sam", _glass_broken, Kind.ACTION_REVIEWED),
    "settings:pace": asked("noa", _pace, Kind.CONNECTOR_CHANGED),
    "settings:reset_connector": asked("noa", _reset, Kind.CONNECTOR_CLOSED),
    "settings:add_connector": asked(
        "noa", at("/settings/connectors/add/simulator", CONNECTOR), Kind.CONNECTOR_ADDED
    ),
    "settings:edit_connector": asked("noa", _on_connector("edit", CONNECTOR), Kind.CONNECTOR_CHANGED),
    "settings:check_connector": asked("noa", _on_connector("check", {}), Kind.JOB_REQUESTED),
    "settings:switch_connector": asked("noa", _on_connector("switch", {"to": "on"}), Kind.CONNECTOR_ENABLED),
    "settings:rehearse_connector": asked(
        "noa", _on_connector("dry-run", {"to": "on"}), Kind.CONNECTOR_CHANGED
    ),
    "settings:add_stream": asked("noa", at("/settings/streams/add", STREAM), Kind.STREAM_ADDED),
    "settings:switch_stream": asked("noa", _on_stream("switch", {"to": "off"}), Kind.STREAM_CHANGED),
    "settings:remove_stream": asked("noa", _on_stream("remove", {}), Kind.STREAM_REMOVED),
    "auditor:change_retention": asked(
        "noa",
        at("/audit/retention/rule", {"days": "1095", "artefact_days": "30", "click_days": "180"}),
        Kind.SETTING_CHANGED,
    ),
    "auditor:change_retention shorter": asked(
        "noa",
        at(
            "/audit/retention/rule",
            {"days": "365", "artefact_days": "30", "click_days": "180", "confirmed": "365:30:180"},
        ),
        Kind.RETENTION_SHORTENING_ASKED,
    ),
    "auditor:agree_to_shortening": asked("noa", _on_shortening("agree"), Kind.SETTING_CHANGED),
    "auditor:drop_shortening": asked("noa", _on_shortening("drop"), Kind.RETENTION_SHORTENING_DROPPED),
    "auditor:place_hold": asked("noa", _hold, Kind.HOLD_PLACED),
    "auditor:release_hold": asked("noa", _let_go, Kind.HOLD_RELEASED),
    "settings:level": asked("noa", _level(AutomationLevel.NONE), Kind.GROUP_LEVEL_LOWERED),
    "settings:level raise": asked("noa", _level(AutomationLevel.FULL), Kind.GROUP_LEVEL_RAISE_REQUESTED),
    "settings:keep_level": asked("noa", _keep_level, Kind.GROUP_LEVEL_CONFIRMED),
    "settings:confirm_level": asked("noa", _raise("confirm"), Kind.GROUP_LEVEL_RAISED),
    "settings:cancel_level": asked("noa", _raise("cancel"), Kind.GROUP_RAISE_CANCELLED),
    "settings:add_rule": asked("noa", at("/settings/rules/add", FIELDS), Kind.RULE_ADDED),
    "settings:rule": asked("noa", _rule(""), Kind.RULE_CHANGED),
    "settings:remove_rule": asked("noa", _rule("/remove"), Kind.RULE_REMOVED),
    "settings:safeguards": asked("noa", _safeguards, Kind.SAFEGUARDS_CHANGED),
    "settings:restore_breaker": asked("noa", _breaker, Kind.BREAKER_RESTORED),
    "settings:renew": asked("noa", _renew, Kind.SUPPRESSION_RENEWED),
    "settings:stop": asked("noa", at("/settings/stops/pull", {"reason": "Odd."}), Kind.SWITCH_PULLED),
    "settings:resume": asked("noa", _stop("resume", {"comment": "Found it."}), Kind.SWITCH_RELEASED),
    "settings:explain": asked("noa", _stop("explain", {"reason": "Because."}), Kind.SWITCH_EXPLAINED),
    "ops:accept_restored": asked("noa", _restored, Kind.RESTORE_ACCEPTED),
    "auditor:verify": asked("ivo", at("/audit/verification/verify"), Kind.AUDIT_VERIFICATION_REQUESTED),
    "feeds:add": asked(
        "noa",
        at("/settings/feeds/consumers", {"name": "resolver", "format": FeedFormat.RPZ}),
        Kind.TOKEN_CREATED,
    ),
    "feeds:revoke": asked("noa", _consumer, Kind.TOKEN_REVOKED),
    "choose_keys": asked("ivo", at("/preferences/keys", bindings({})), Kind.USER_CHANGED),
    "actions:columns": asked("ivo", at("/action-center/pending/columns", {"shown": "on"}), Kind.USER_CHANGED),
    "switch_keys": asked("ivo", at("/preferences/keys/switch"), Kind.USER_CHANGED),
}
"""The first word is the name of the address."""
CASES: Final[Mapping[str, Asked]] = {
    **{f"actions:decide {name}": each for name, each in ON_ONE.items()},
    **{f"actions:bulk {name}": each for name, each in IN_BULK.items()},
    **OTHERS,
}
