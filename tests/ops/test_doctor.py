"""The doctor finds what is wrong, says what to do, and finds nothing in a sound installation."""

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from pytest_django import Settings

from actioncenter import keys
from actioncenter.accounts.models import Notice
from actioncenter.actions.enums import TargetState
from actioncenter.actions.execution import anchoring, claiming
from actioncenter.actions.models import Action, ActionTarget, Attempt, RunnerBeat
from actioncenter.audit import sealing as sealer
from actioncenter.audit import triggers
from actioncenter.estate.services import Postgres, RabbitMQ, Redis
from actioncenter.ops.doctor import broker, checking, database, hosts, sealing, work
from actioncenter.ops.doctor.finding import Check, Grade
from actioncenter.settings import anchoring as anchors
from actioncenter.settings import checkpoints, describing
from actioncenter.settings.models import Host, Installation
from tests import factories
from tests.actions.conftest import RUNNER
from tests.actions.stopping import command
from tests.services.database import as_default
from tests.settings.stopping import pull, stop_file

__all__ = ["stop_file"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stop_file")]
LONG_AGO = timedelta(minutes=10)
SOUND = [check for check in checking.CHECKS if check not in (work.alive, work.mail, database.rights)]


def codes(check: Check) -> list[str]:
    return [finding.code for finding in check()]


@pytest.fixture(autouse=True)
def own_folders(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.KEYS_DIR, settings.ANCHOR_DIR = tmp_path / "keys", tmp_path / "anchor"
    settings.CHECKPOINTS_DIR = tmp_path / "checkpoints"
    settings.CELERY_BROKER_URL = None
    settings.ANCHOR_DIR.mkdir()
    monkeypatch.setattr(anchors, "_files", {})
    for name in keys.ALWAYS:
        keys.load(settings.KEYS_DIR, name)


@pytest.mark.parametrize("check", SOUND, ids=lambda check: check.__name__)
def test_a_sound_installation_has_nothing_found(check: Check) -> None:
    describing.describe("web", by=RUNNER)
    anchoring.look(by=RUNNER)
    assert codes(check) == []


def nothing(settings: Settings) -> None: ...


def migration_undone(settings: Settings) -> None:
    (newest,) = MigrationLoader(connection).graph.leaf_nodes("settings")
    MigrationRecorder(connection).record_unapplied(*newest)


def triggers_gone(settings: Settings) -> None:
    triggers.remove(connection)


def held(settings: Settings) -> None:
    Installation.current()
    Installation.objects.update(held_at=Now(), held_reason="Event 7 is missing")


def went_back(settings: Settings) -> None:
    anchors.file_of(Installation.current()).change(lambda known: known.with_event(10**9, "ab"))
    anchors.file_of(Installation.current()).change(lambda known: anchors.replace(known, epoch=1))


def anchor_spoilt(settings: Settings) -> None:
    anchors.file_of(Installation.current()).path.write_text("{")


def key_gone(settings: Settings) -> None:
    (settings.KEYS_DIR / "audit.key").unlink()


def key_open(settings: Settings) -> None:
    (settings.KEYS_DIR / "field.key").chmod(0o644)


def migrated_by_a_newer(settings: Settings) -> None:
    MigrationRecorder(connection).record_applied("actions", "9999_later")


def keys_differ(settings: Settings) -> None:
    describing.describe("web", by=RUNNER)
    settings.AUDIT_KEY = b"x" * 32


def rotation_begun(settings: Settings) -> None:
    keys.stage(settings.KEYS_DIR, "audit.key")


def signing_key_changed(settings: Settings) -> None:
    factories.person("noa")
    sealer.seal()
    settings.SIGNING_KEY = b"x" * 32


def clock_wrong(settings: Settings) -> None:
    describing.describe("web", by=RUNNER)
    Host.objects.filter(part="web").update(skew=-3.5)


def two_versions(settings: Settings) -> None:
    for part in ("web", "runner"):
        describing.describe(part, by=RUNNER)
    Host.objects.filter(part="web").update(version="0.0.9")


def runner_silent(settings: Settings) -> None:
    RunnerBeat.objects.create(name="a:1", seen_at=Now() - timedelta(seconds=30))


def claimed() -> Action:
    action = factories.waiting_action().approve(by=factories.person("mira").actor())
    assert claiming.claim_one(action.pk, "dead:1", by=RUNNER)
    return action


def runner_unfit(settings: Settings) -> None:
    RunnerBeat.objects.create(name="odd:1", unfit="The database is newer than this version.")


def lease_long_over(settings: Settings) -> None:
    claimed()
    Attempt.objects.update(lease_until=Now() - LONG_AGO)


def outcome_unknown(settings: Settings) -> None:
    ActionTarget.objects.filter(action=claimed()).update(state=TargetState.UNKNOWN)
    Action.objects.update(execution=4)


def queued_for_long(settings: Settings) -> None:
    factories.waiting_action().approve(by=factories.person("mira").actor())
    Action.objects.update(queued_at=Now() - LONG_AGO)


def stopped(settings: Settings) -> None:
    pull()


def stopped_by_file(settings: Settings) -> None:
    (Path(settings.DATA_DIR) / "STOP").write_text("Look\n")


def mail_failed(settings: Settings) -> None:
    Notice.objects.create(
        user=factories.person("noa"), kind="x", title="x", mail_tries=5, mail_error="550 \x1b"
    )


WRONG: list[tuple[Callable[[Settings], None], Check, str]] = [
    (migration_undone, database.schema, "schema.behind"),
    (migrated_by_a_newer, database.schema, "schema.ahead"),
    (triggers_gone, database.append_only, "audit.rewritable"),
    (held, database.restored, "restore.held"),
    (went_back, database.restored, "restore.found"),
    (anchor_spoilt, database.restored, "anchor.unreadable"),
    (key_gone, hosts.key_files, "keys.missing"),
    (key_open, hosts.key_files, "keys.readable"),
    (keys_differ, hosts.same_keys, "keys.differ"),
    (rotation_begun, hosts.rotations, "keys.unfinished"),
    (signing_key_changed, sealing.signable, "seals.unsigned"),
    (clock_wrong, hosts.clocks, "clock.skew"),
    (two_versions, hosts.versions, "version.mixed"),
    (nothing, work.alive, "runner.none"),
    (runner_silent, work.alive, "runner.silent"),
    (runner_unfit, work.alive, "runner.unfit"),
    (lease_long_over, work.stuck, "work.stuck"),
    (outcome_unknown, work.unknown, "work.unknown"),
    (queued_for_long, work.queue, "queue.old"),
    (stopped, work.stops, "stop.in_force"),
    (stopped_by_file, work.stops, "stop.file"),
    (nothing, work.mail, "mail.off"),
    (mail_failed, work.mail, "mail.undelivered"),
]


@pytest.mark.parametrize(("spoil", "check", "code"), WRONG, ids=[code for _, _, code in WRONG])
def test_what_is_wrong_is_found(
    spoil: Callable[[Settings], None], check: Check, code: str, settings: Settings
) -> None:
    spoil(settings)
    try:
        found = {finding.code: finding for finding in check()}
    finally:
        triggers.install(connection)
    assert code in found
    assert all((found[code].what, found[code].means, found[code].do))


def test_every_check_is_tried() -> None:
    tried = {check for _, check, _ in WRONG}
    apart = {database.rights, hosts.disk, broker.broker, sealing.sealed, sealing.copied, sealing.streamed}
    assert set(checking.CHECKS) - tried == apart


@pytest.mark.parametrize(
    ("free", "grade"), [(10**12, None), (400 * 2**20, Grade.WARNING), (2**20, Grade.ERROR)]
)
def test_little_room(free: int, grade: Grade | None, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free))
    assert {finding.grade for finding in hosts.disk()} == ({grade} if grade else set())


@pytest.mark.parametrize("name", ["MEDIA_ROOT", "SNAPSHOTS_DIR", "CHECKPOINTS_DIR", "ARCHIVE_DIR"])
def test_a_folder_that_the_service_may_not_write(name: str, settings: Settings) -> None:
    """`ProtectSystem=strict` leaves it readable: nobody is told before something is lost."""
    setattr(settings, name, Path("/proc/self/made-at-the-first-use"))
    (finding,) = hosts.disk()
    assert (finding.code, finding.grade) == ("disk.readonly", Grade.ERROR)
    assert "/proc/self/made-at-the-first-use can't be written" in finding.what


@pytest.mark.postgres
def test_a_role_that_could_rewrite_the_log(on_postgres: str, settings: Settings) -> None:
    settings.ALLOW_SINGLE_ROLE = False
    (finding,) = database.rights()
    assert (finding.code, finding.grade) == ("roles.owner", Grade.ERROR)
    assert f"owns or may become the owner of {', '.join(sorted(triggers.guarded()))}" in finding.what
    settings.ALLOW_SINGLE_ROLE = True
    (finding,) = database.rights()
    assert (finding.code, finding.grade) == ("roles.single", Grade.ERROR)


@pytest.mark.postgres
def test_rights_that_are_too_many_or_too_few(on_postgres: str) -> None:
    with as_default(on_postgres):
        assert codes(database.rights) == []
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT CREATE ON SCHEMA public TO {Postgres.runtime}")
        cursor.execute(f"REVOKE UPDATE ON SEQUENCE actions_action_id_seq FROM {Postgres.runtime}")
    with as_default(on_postgres):
        needless, lacking = database.rights()
    assert (needless.code, needless.grade) == ("roles.needless", Grade.WARNING)
    assert "may CREATE in the schema" in needless.what
    assert (lacking.code, lacking.grade) == ("roles.lacking", Grade.ERROR)
    assert "may not UPDATE on actions_action_id_seq" in lacking.what
    MigrationRecorder(connection).record_applied("actions", "9999_later")
    with as_default(on_postgres):
        assert codes(database.rights) == [], "what a newer version needs, only that one knows"


def test_a_broker_that_is_away(settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "redis://:hunter2-of-redis@127.0.0.1:1/0"
    (finding,) = broker.broker()
    assert finding.code == "broker.away"
    assert "hunter2" not in json.dumps(finding.as_json())


@pytest.mark.redis
def test_a_broker_that_lets_everybody_in(
    redis_service: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_BROKER_URL = redis_service.url
    assert codes(broker.broker) == [], "this machine only"
    monkeypatch.setattr(broker, "_bound", lambda _: {"*", "-::*"})
    assert codes(broker.broker) == ["broker.open"]


GUEST, CLEAR = "broker.guest", "broker.clear"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("amqp://guest:guest@10.0.0.22:5672//", [GUEST, CLEAR]),
        ("amqp://10.0.0.22//", [GUEST, CLEAR]),
        ("amqps://guest:hunter2@broker.example//", [GUEST]),
        ("amqp://actioncenter:hunter2@broker.example//", [CLEAR]),
        ("pyamqp://actioncenter:hunter2@broker.example//", [CLEAR]),
        ("amqps://actioncenter:hunter2@broker.example//", []),
        ("redis://:hunter2@10.0.0.22:6379/0", [CLEAR]),
        ("rediss://:hunter2@10.0.0.22:6379/0", []),
        ("redis://:hunter2@[2001:db8::22]:6379/0", [CLEAR]),
        ("redis://:hunter2@[::1]:6379/0", []),
        ("amqp://guest:guest@localhost//", []),
        ("amqp://", []),
        ("redis:///0", []),
        ("redis+socket:///run/redis/redis.sock", []),
    ],
)
def test_who_the_broker_lets_in_and_over_which_line(
    url: str, found: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers, and Redis to nobody without the password."""
    settings.CELERY_BROKER_URL = url
    monkeypatch.setattr(broker, "_trouble", lambda _: "")
    monkeypatch.setattr(broker, "_open_to_all", lambda _: False)
    told = list(broker.broker())
    assert [finding.code for finding in told] == found
    assert "hunter2" not in json.dumps([finding.as_json() for finding in told])
    grades = {GUEST: Grade.ERROR, CLEAR: Grade.WARNING}
    assert all(finding.grade is grades[finding.code] for finding in told)


@pytest.mark.rabbitmq
def test_a_rabbitmq_that_lets_guest_in_from_elsewhere(
    rabbitmq_service: RabbitMQ, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_BROKER_URL = rabbitmq_service.url
    assert codes(broker.broker) == [], "this machine only"
    monkeypatch.setattr(broker, "LOOPBACK", frozenset())
    assert codes(broker.broker) == [GUEST, CLEAR]
    settings.CELERY_BROKER_URL = rabbitmq_service.url.replace("guest:guest", "guest:wrong")
    assert codes(broker.broker) == ["broker.away"]


def test_a_check_that_breaks_holds_up_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("hidden")

    found = checking.examine([broken, work.mail])
    assert [finding.code for finding in found] == ["check.broken", "mail.off"]
    assert found[0].grade is Grade.ERROR


def test_the_command_says_it_for_people_and_programs() -> None:
    factories.person("noa")
    Notice.objects.create(user=factories.person("noa"), kind="x", title="x", mail_tries=5, mail_error="550")
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (ended.value.code, told["ok"]) == (1, False)
    assert {"runner.none", "mail.undelivered"} <= {finding["code"] for finding in told["findings"]}
    grades = [finding["grade"] for finding in told["findings"]]
    assert grades == sorted(grades, key=[*Grade].index), "the worst first"
    text = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", stdout=text)
    assert "ERROR   No runner is working  [runner.none]" in text.getvalue()


def test_it_works_without_a_database(tmp_path: Path) -> None:
    done = command("postgres://nobody@127.0.0.1:1/nothing", "doctor", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, [finding["code"] for finding in told["findings"]]) == (1, ["database.away"])


def test_events_that_nobody_seals_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.person("noa")
    monkeypatch.setattr(sealing, "LATE", timedelta(0))

    assert codes(sealing.sealed) == ["seals.behind"]
    sealer.seal()
    assert codes(sealing.sealed) == []


def test_seals_that_nobody_copies_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.person("noa")
    sealer.seal()
    monkeypatch.setattr(sealing, "LATE", timedelta(0))
    assert codes(sealing.copied) == [], "a host without a runner keeps none"
    checkpoints.path().parent.mkdir()
    checkpoints.path().touch()

    assert codes(sealing.copied) == ["seals.not_copied"]
    checkpoints.keep()
    assert codes(sealing.copied) == []
    checkpoints.path().write_text("something else\n")
    assert codes(sealing.copied) == ["seals.not_copied"]
