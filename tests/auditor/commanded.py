"""Every command of the product and each of its verbs: the events it must leave, or why it leaves none."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django.apps import apps
from django.core.management import get_commands, load_command_class

from actioncenter.actions.execution import snapshots
from actioncenter.audit.anchor import Anchor
from actioncenter.audit.enums import Kind
from actioncenter.connectors.simulator.estate import Estate
from actioncenter.feeds.enums import FeedFormat
from actioncenter.feeds.models import Consumer
from actioncenter.settings import describing
from actioncenter.settings.models import ConnectorInstance, Destination, LegalHold
from actioncenter.settings.models.hosts import REFERENCE, Host
from actioncenter.settings.models.restoring import hold
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.test_end_to_end import NATIVE
from tests.auditor import redacted
from tests.auditor.asked import STREAM
from tests.auditor.lives import Run, by
from tests.ops import rotations
from tests.settings.stopping import pull

VERBS: Final = {"verb", "what", "step"}
"""As our commands call the word that says what they shall do."""


@dataclass(frozen=True, slots=True)
class Told:
    leaves: frozenset[Kind]
    prepare: Callable[[Run, Estate], object]
    """Returns what fills `{made}` in the words."""


def leaves(*kinds: Kind, after: Callable[[Run, Estate], object] = lambda run, estate: None) -> Told:
    return Told(frozenset(kinds), after)


def verbs() -> Iterator[str]:
    """Such as `audit redact request`; a command without verbs is its own."""
    ours = {config.name for config in apps.get_app_configs() if _is_ours(config.name)}
    for name, app in sorted(get_commands().items()):
        if app in ours:
            command = load_command_class(app, name)
            for rest in _beneath(command.create_parser("manage.py", name)):
                yield " ".join([name, *rest])


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in {"actioncenter", "investigations"}


def _beneath(parser: argparse.ArgumentParser) -> Iterator[list[str]]:
    for each in parser._actions:
        if isinstance(each, argparse._SubParsersAction):
            yield from ([word, *rest] for word, inner in each.choices.items() for rest in _beneath(inner))
            return
        if each.dest in VERBS and not each.option_strings and each.choices:
            yield from ([str(word)] for word in each.choices)
            return
    yield []


def _person_away(run: Run, estate: Estate) -> None:
    factories.person("kim").deactivate(by=factories.SETUP)


def _snapshot(run: Run, estate: Estate) -> int:
    factories.waiting_action()
    stop = pull()
    snapshots.take(stop, by=RUNNER)
    return stop.pk


def _connector(*, on: bool) -> Callable[[Run, Estate], None]:
    def prepare(run: Run, estate: Estate) -> None:
        row = ConnectorInstance.add("simulator", "Lab", {}, by=by("noa"), simulated=True)
        if on:
            row.enable(by=by("noa"))

    return prepare


def _stream(*, on: bool) -> Callable[[Run, Estate], None]:
    def prepare(run: Run, estate: Estate) -> None:
        row = Destination.add(**STREAM, so_far=False, by=by("noa"))
        if not on:
            row.switch(on=False, by=by("noa"))

    return prepare


def _block_list_in_use(run: Run, estate: Estate) -> None:
    ConnectorInstance.add("feeds", "Block list", {}, by=by("noa")).enable(by=by("noa"))


def _consumer(run: Run, estate: Estate) -> None:
    Consumer.add("resolver", FeedFormat.RPZ, by=by("noa"))


def _redaction(run: Run, estate: Estate) -> int:
    event = redacted.told()
    _password_of_noa()
    return redacted.asked(event, by="ada").pk


def _to_redact(run: Run, estate: Estate) -> int:
    _password_of_noa()
    return redacted.told().pk


def _password_of_noa() -> None:
    factories.person("noa").change_password(factories.PASSWORD, by=factories.SETUP)


def _other_keys(run: Run, estate: Estate) -> None:
    Host.objects.create(name="", part=REFERENCE, keys={**describing.fingerprints(), "audit.key": "0" * 16})


def _restored(run: Run, estate: Estate) -> None:
    hold("Event 7 is missing", host="h1", anchor=Anchor(epoch=1, event=7), by=RUNNER)


def _held(run: Run, estate: Estate) -> None:
    LegalHold.place("action:1", by=by("noa"), reason="Order.")


RECORDED: Final[Mapping[str, Told]] = {
    "person add ada --role analyst": leaves(Kind.USER_CREATED, Kind.ROLE_GRANTED),
    "person password mira": leaves(Kind.USER_CHANGED),
    "person grant mira auditor": leaves(Kind.ROLE_GRANTED),
    "person revoke mira responder": leaves(Kind.ROLE_REVOKED),
    "person deactivate mira": leaves(Kind.USER_DEACTIVATED),
    "person reactivate kim": leaves(Kind.USER_REACTIVATED, after=_person_away),
    "stop --reason Odd": leaves(Kind.SWITCH_PULLED),
    "resume --reason Found": leaves(Kind.SWITCH_RELEASED, after=lambda run, estate: pull()),
    "restored --accept --reason Looked": leaves(Kind.RESTORE_ACCEPTED, after=_restored),
    "hosts --accept-keys --reason Renewed": leaves(Kind.SETTING_CHANGED, after=_other_keys),
    "snapshot {made}": leaves(Kind.EXPORT_MADE, after=_snapshot),
    "export pending --out {folder}/list.csv": leaves(Kind.EXPORT_MADE),
    f"ingest {NATIVE}": leaves(Kind.INGEST_RECEIVED, Kind.INVESTIGATION_OPENED),
    "retention set --days 1095": leaves(Kind.SETTING_CHANGED),
    "retention set --days 365": leaves(Kind.RETENTION_SHORTENING_ASKED),
    "retention hold A-1 --reason Court": leaves(Kind.HOLD_PLACED),
    "retention release A-1 --reason Over": leaves(Kind.HOLD_RELEASED, after=_held),
    "audit verify": leaves(Kind.AUDIT_VERIFIED),
    "audit export --out {folder}/export.jsonl": leaves(Kind.EXPORT_MADE),
    "audit pack --action {made} --out {folder}/pack.zip": leaves(
        Kind.EXPORT_MADE, after=lambda run, estate: factories.waiting_action().pk
    ),
    "audit redact request {made} --field detail.comment --reason Erasure --as noa --password-stdin": leaves(
        Kind.AUDIT_REDACTION_REQUESTED, after=_to_redact
    ),
    "audit redact approve {made} --as noa --password-stdin": leaves(Kind.AUDIT_REDACTED, after=_redaction),
    "audit redact reject {made} --reason Needed --as noa --password-stdin": leaves(
        Kind.AUDIT_REDACTION_REJECTED, after=_redaction
    ),
    "connector enable Lab": leaves(Kind.CONNECTOR_ENABLED, after=_connector(on=False)),
    "connector disable Lab": leaves(Kind.CONNECTOR_DISABLED, after=_connector(on=True)),
    "streams add SIEM https://siem.example/in --what events": leaves(Kind.STREAM_ADDED),
    "streams enable SIEM": leaves(Kind.STREAM_CHANGED, after=_stream(on=False)),
    "streams disable SIEM": leaves(Kind.STREAM_CHANGED, after=_stream(on=True)),
    "streams remove SIEM": leaves(Kind.STREAM_REMOVED, after=_stream(on=True)),
    "feeds enable": leaves(Kind.CONNECTOR_ADDED, Kind.CONNECTOR_CHANGED, Kind.CONNECTOR_ENABLED),
    "feeds disable": leaves(Kind.CONNECTOR_DISABLED, after=_block_list_in_use),
    "feeds add resolver rpz": leaves(Kind.TOKEN_CREATED),
    "feeds revoke resolver": leaves(Kind.TOKEN_REVOKED, after=_consumer),
    "keys add signing": leaves(Kind.KEY_ADDED),
    "keys rotate audit": leaves(Kind.KEY_ADDED, Kind.KEY_ROTATED),
    "keys retire audit {made} --anyway --wait 0": leaves(
        Kind.KEY_RETIRED, after=lambda run, estate: rotations.rotate("audit")[0]
    ),
    "keys reencrypt": leaves(Kind.KEY_REENCRYPTED),
}
"""The test runs each of them, with and without a log that can be written."""
ELSEWHERE: Final[Mapping[str, str]] = {
    "demo": "tests/ops/test_demo.py::test_everything_stands_in_an_audit_log_that_verifies",
    "enrol": "tests/connectors/ssh/test_product.py::test_the_command_enrols_a_host_whose_key_somebody_knows",
    "estate up": "tests/ops/test_estate_mail.py::test_up_status_and_down",
    "estate down": "tests/ops/test_estate_mail.py::test_up_status_and_down",
    "retention run": "tests/auditor/test_retention.py::test_the_command_tells_runs_and_holds",
    "runner": "tests/actions/test_stop_snapshots.py::test_stop_snapshot_60s",
    "up": "tests/ops/test_up.py::test_first_start_prints_a_password_that_the_second_does_not_know",
}
"""These start servers or hosts, or need years and commits of their own: the test that does, and looks at the events."""
FILES: Final = "works on the files of the project, in no installation"
LISTS: Final = "shows people on the server what the pages show; nothing secret, nothing that leaves in a file"
READ_ONLY: Final[Mapping[str, str]] = {
    "bench": "measures on a database of its own, which is gone afterwards",
    **dict.fromkeys(("check_all", "diagrams", "oversight report", "screenshots", "test"), FILES),
    **dict.fromkeys(
        (
            "audit redact list", "connector list", "doctor", "estate status", "feeds list", "keys list", "person list",
            "retention show", "streams list",
        ),
        LISTS,
    ),
    "audit key": "prints the public key, which is for everybody",
    "audit script": "writes the verifier, which is the same everywhere",
    "changepassword": "refuses, see below",
    "createsuperuser": "refuses, see below",
    "feeds link": "signs what it is given and keeps nothing; whoever follows the link is logged",
    "migrate": "changes tables by an update's own files and no setting; the log guards itself against it (test_append_only)",
    "policy explain": "works out what rules make of a finding that is only described",
}  # fmt: skip
