"""The product's own settings over a throw-away data folder: tests never see an installation's data."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Programs started by tests inherit the folder; anything else gets a new one.
if "ACTIONCENTER_TEST_DATA" not in os.environ:
    for name in [name for name in os.environ if name.startswith("ACTIONCENTER_")]:
        if name not in {
            "ACTIONCENTER_REQUIRE_SERVICES",
            "ACTIONCENTER_TEST_DATABASE",
            "ACTIONCENTER_NO_BOOTSTRAP",
            "ACTIONCENTER_SAMPLE",
        }:
            del os.environ[name]
    # Thousands of small databases are made; waiting for a disk to keep them proves nothing.
    memory = Path("/dev/shm")
    if "TMPDIR" not in os.environ and memory.is_dir() and shutil.disk_usage(memory).free > 4 * 2**30:
        tempfile.tempdir = os.environ["TMPDIR"] = str(memory)
    folder = tempfile.mkdtemp(prefix="actioncenter-test-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["ACTIONCENTER_DATA"] = os.environ["ACTIONCENTER_TEST_DATA"] = folder
    if os.environ.get("ACTIONCENTER_TEST_DATABASE") == "postgres":
        from actioncenter.estate.services import Postgres

        server = Postgres.start()
        atexit.register(server.stop)
        os.environ["ACTIONCENTER_DATABASE_URL"] = server.url

from actioncenter.conf import *  # noqa: F403, TID251 - the settings themselves
from actioncenter.conf import DATA_DIR, DATABASES, LEASE_SECONDS, ON_POSTGRES, STATIC_ROOT, STORAGES  # noqa: TID251

DEBUG = False
# Suites that kill runners can't wait a minute each time; only tests know of failpoints.
LEASE_SECONDS = float(os.environ.get("ACTIONCENTER_TEST_LEASE", LEASE_SECONDS))
FAILPOINTS = True
# Tests write views when they want to; a thread of their own would meet a database that is gone.
VIEWS_FLUSH_SECONDS = 0.0
# Nothing is collected for tests, and the server warns of a missing folder.
(DATA_DIR / "static").mkdir(exist_ok=True)
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# The middleware warns about a missing folder, and warnings are errors here.
STATIC_ROOT.mkdir(exist_ok=True)
# The real one takes a tenth of a second on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

if not ON_POSTGRES:
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
