"""What every test shares: skips that explain themselves, the append-only triggers, services, the browser."""

import faulthandler
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import HealthCheck, settings

from actioncenter.audit import sealing, triggers
from actioncenter.environment import flag
from actioncenter.estate import lab, resolver
from actioncenter.estate.lab import Lab
from actioncenter.estate.mail.dovecot import Dovecot
from actioncenter.estate.services import Postgres, RabbitMQ, Redis, Service, ServiceMissing
from actioncenter.settings import installation
from tests.impatience import Impatience
from tests.outcomes import Outcomes
from tests.sampling import Sampling

SERVICES_REQUIRED = flag("ACTIONCENTER_REQUIRE_SERVICES")
MISSING_PACKAGES = pytest.StashKey[dict[str, int]]()
OWN_DATABASES = {"shared_database", "on_postgres"}
"""Fixtures that bring a database, whichever the suite runs on."""
# The first program that exists is used; a browser of one's own comes first.
BROWSERS = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")


# A busy machine is slow, and that is no fault of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MISSING_PACKAGES] = {}
    config.pluginmanager.register(Outcomes(), "outcomes")
    config.pluginmanager.register(Sampling(), "sampling")
    config.pluginmanager.register(Impatience(), "impatience")


def pytest_sessionfinish(exitstatus: int) -> None:
    """A thread that a test left behind must not keep a finished run from ending: show it, and end."""
    seconds = 120
    watchdog = threading.Timer(seconds, _end_all_the_same, [exitstatus])
    watchdog.daemon = True
    watchdog.start()


def _end_all_the_same(status: int) -> None:
    faulthandler.dump_traceback(all_threads=True)
    os._exit(status)


# Before pytest itself chooses by marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A service's mark is enough; the fixture that starts or finds it comes with it."""
    for item in items:
        if isinstance(item, pytest.Function) and OWN_DATABASES & {*item.fixturenames}:
            item.add_marker("own_database")
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.timeout(0))
        for mark in ("postgres", "redis", "rabbitmq", "dovecot", "unbound", "hosts", "browser"):
            if item.get_closest_marker(mark) and isinstance(item, pytest.Function):
                # Not in place: the list is shared with the test's other parameters.
                item.fixturenames = [f"{mark}_service", *item.fixturenames]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where services are required, a skipped test has failed: it proved nothing."""
    report: pytest.TestReport = yield
    is_skip = report.skipped and not hasattr(report, "wasxfail")
    if is_skip and SERVICES_REQUIRED and not item.get_closest_marker("samples"):
        reason = call.excinfo.value if call.excinfo else "no reason"
        report.outcome = "failed"
        report.longrepr = f"skipped, although every service is required: {reason}"
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    missing = config.stash[MISSING_PACKAGES]
    if missing:
        count, packages = sum(missing.values()), " ".join(sorted(missing))
        tests = "test" if count == 1 else "tests"
        terminalreporter.write_line(
            f"Skipped {count} {tests}. To run all: apt install {packages}", yellow=True
        )


def skip_for(request: pytest.FixtureRequest, package: str, reason: str) -> None:
    missing = request.config.stash[MISSING_PACKAGES]
    missing[package] = missing.get(package, 0) + _users(request, package)
    pytest.skip(reason)


def _users(request: pytest.FixtureRequest, package: str) -> int:
    """Count the tests of this session that will be skipped with the one that asked first."""
    mark = {
        "postgresql": "postgres",
        "redis-server": "redis",
        "rabbitmq-server": "rabbitmq",
        "chromium": "browser",
        "dovecot-imapd": "dovecot",
        "unbound": "unbound",
        "7zip": "seven_zip",
    }.get(package, "hosts")
    return sum(1 for item in request.session.items if item.get_closest_marker(mark))


def _serve(request: pytest.FixtureRequest, start: Callable[[], Service]) -> Iterator[Service]:
    try:
        server = start()
    except ServiceMissing as missing:
        skip_for(request, missing.package, str(missing))
        return
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres_service(request: pytest.FixtureRequest) -> Iterator[Service]:
    yield from _serve(request, Postgres.start)


@pytest.fixture(scope="session")
def redis_service(request: pytest.FixtureRequest) -> Iterator[Service]:
    yield from _serve(request, Redis.start)


@pytest.fixture(scope="session")
def rabbitmq_service(request: pytest.FixtureRequest) -> Iterator[Service]:
    yield from _serve(request, RabbitMQ.start)


@pytest.fixture(scope="session")
def hosts_service(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Five real hosts in namespaces, gone with the run whatever happens to it."""
    try:
        with lab.owned("t", 5) as hosts:
            yield hosts
    except ServiceMissing as missing:
        skip_for(request, missing.package, str(missing))


@pytest.fixture(scope="session")
def dovecot_service(request: pytest.FixtureRequest) -> Iterator[Service]:
    yield from _serve(request, Dovecot.start)


@pytest.fixture(scope="session")
def unbound_service(request: pytest.FixtureRequest) -> Path:
    """Return its program; each test starts one of its own, for it pulls from the test's own server."""
    try:
        return resolver.program()
    except ServiceMissing as missing:
        skip_for(request, missing.package, str(missing))
        raise


@pytest.fixture(scope="session")
def browser_service(request: pytest.FixtureRequest) -> str:
    """Return the path of Chromium."""
    found = next((path for name in BROWSERS if name and (path := shutil.which(name))), None)
    if found is None:
        skip_for(request, "chromium", "Chromium is not installed (apt install chromium)")
    # Playwright keeps an event loop in this thread, and Django would refuse its database there.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    return str(found)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_service: str) -> dict[str, Any]:
    """Tell pytest-playwright to drive the machine's own Chromium."""
    quiet = ["gpu", "quic", "background-networking", "component-update", "sync", "dev-shm-usage"]
    flags = ["--no-first-run", *(f"--disable-{name}" for name in quiet)]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")
    return {"executable_path": browser_service, "args": flags}


@pytest.fixture(autouse=True)
def _nothing_set_aside() -> None:
    """What one test made the runner leave alone may have the number of another's action."""
    from actioncenter.actions.execution import stumbling  # noqa: PLC0415 - after Django is set up

    stumbling.forget()


@pytest.fixture(scope="session", autouse=True)
def seals_within_a_test() -> Iterator[None]:
    """A test that is taken back is one transaction that never ends: what it wrote itself counts as final."""
    real = sealing.Horizon.now

    def now() -> sealing.Horizon:
        here = real()
        blocks = connection.atomic_blocks
        if connection.vendor == "sqlite" or not (blocks and blocks[0]._from_testcase):
            return here
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text::bigint + 1")
            beyond = cursor.fetchone()[0]
        return sealing.Horizon(here.at, beyond, beyond, here.cluster)

    patch = pytest.MonkeyPatch()
    patch.setattr(sealing.Horizon, "now", now)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def flush_past_triggers() -> Iterator[None]:
    """Audit rows refuse deletion, also by the flush after a transactional test."""
    flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def teardown(case: TransactionTestCase) -> None:
        triggers.remove(connection)
        try:
            flush(case)
            # What the migrations put there belongs to every installation, so to every test.
            installation.ensure(apps)
        finally:
            triggers.install(connection)

    patch = pytest.MonkeyPatch()
    patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
    yield
    patch.undo()
