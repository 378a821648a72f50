"""Files of installed packages stay, by Debian's lists and by the database of rpm, which is a real one here."""

import hashlib
import shutil
import uuid
from dataclasses import replace

import pytest

from actioncenter.connectors.base import Outcome
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.target.packages import RPM
from actioncenter.estate.lab import LabHost
from tests.conftest import skip_for
from tests.connectors.ssh.asking import done, quarantine, undo
from tests.connectors.ssh.fleet import Fleet

pytestmark = pytest.mark.hosts

TOOL = "/usr/bin/lab-tool"
CONTENT = b"a tool of a package\n"
# Digests as Fedora and RHEL have them; what was built before 2009 has MD5.
SPEC = """
Name: lab-tool
Version: 1
Release: 1
Summary: A tool
License: none
BuildArch: noarch
%define _source_filedigest_algorithm {algorithm}
%define _binary_filedigest_algorithm {algorithm}
%description
A tool
%install
mkdir -p %{{buildroot}}/usr/bin
cp /tmp/lab-tool %{{buildroot}}{tool}
%files
{tool}
"""
_INSTALL = """
set -e
rpmbuild -bb --define '_topdir /tmp/rpm' /tmp/lab-tool.spec
rpm -i --nodeps --force-debian /tmp/rpm/RPMS/noarch/lab-tool-1-1.noarch.rpm
"""


@pytest.fixture(params=[8, 1], ids=["sha256", "md5"])
def tool(request: pytest.FixtureRequest, fleet: Fleet, host: LabHost) -> str:
    """Installed from a package; its SHA-256."""
    if shutil.which("rpmbuild") is None:
        skip_for(request, "rpm", "rpm is not installed (apt install rpm)")
    host.run("/bin/sh", "-c", "rpm -e lab-tool 2>/dev/null || true")
    fleet.put(host, "/tmp/lab-tool", CONTENT)
    spec = SPEC.format(algorithm=request.param, tool=TOOL)
    fleet.put(host, "/tmp/lab-tool.spec", spec.encode())
    host.run("/bin/sh", "-c", _INSTALL)
    return hashlib.sha256(CONTENT).hexdigest()


def test_an_unchanged_file_of_a_package_stays(
    fleet: Fleet, host: LabHost, connector: SshHosts, tool: str
) -> None:
    """By either of its names, where /bin is a link."""
    for path in (TOOL, TOOL.removeprefix("/usr")):
        assert done(connector, quarantine(fleet.pins[0], path, tool)).error.startswith("package_file: ")
    assert fleet.file(host, TOOL).read_bytes() == CONTENT


def test_one_that_somebody_changed_goes(fleet: Fleet, host: LabHost, connector: SshHosts, tool: str) -> None:
    sha256 = fleet.put(host, TOOL, b"something evil", 0o755)
    assert done(connector, quarantine(fleet.pins[0], TOOL, sha256)).outcome is Outcome.SUCCEEDED
    assert not fleet.file(host, TOOL).exists()


def test_a_file_of_no_package_goes(fleet: Fleet, host: LabHost, connector: SshHosts, tool: str) -> None:
    """Its name is one word of the question, whatever is in it."""
    for name in ("tool", "-e lab-tool", "%{NAME}", "new\nline", "*"):
        path = f"/home/ana/Downloads/{name}"
        sha256 = fleet.put(host, path, name.encode())
        result = done(connector, quarantine(fleet.pins[0], path, sha256))
        assert result.outcome is Outcome.SUCCEEDED, result.error
    host.run("rpm", "-q", "lab-tool")


def test_a_database_that_cannot_be_asked_lets_nothing_go(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    path = "/home/ana/Downloads/tool"
    sha256 = fleet.put(host, path, b"a tool")
    real = fleet.file(host, RPM)
    kept = real.read_bytes() if real.exists() else None
    fleet.put(host, RPM, b"#!/bin/sh\necho error: db5 error >&2\nexit 1\n", 0o755)
    result = done(connector, quarantine(fleet.pins[0], path, sha256))
    fleet.put(host, RPM, kept, 0o755) if kept else real.unlink()
    assert result.error.startswith("packages: ")
    assert fleet.file(host, path).exists()


def test_an_admin_has_it_taken_all_the_same(
    fleet: Fleet, host: LabHost, connector: SshHosts, tool: str
) -> None:
    """Whoever decides is told before that it would be left alone."""
    wish = quarantine(fleet.pins[0], TOOL, tool)
    assert any("unchanged file of an installed package" in text for text in connector.preview(wish).warnings)
    forced = replace(wish, id=str(uuid.uuid4()), parameters={"package_files": "take"})
    assert not any("unchanged file" in text for text in connector.preview(forced).warnings)

    result = done(connector, forced)

    assert result.outcome is Outcome.SUCCEEDED
    assert not fleet.file(host, TOOL).exists()
    assert done(connector, undo(forced, result)).outcome is Outcome.SUCCEEDED
    assert fleet.file(host, TOOL).read_bytes() == CONTENT


def test_what_the_connection_hangs_on_nobody_takes(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    content = fleet.file(host, "/usr/bin/sudo.real").read_bytes()
    wish = quarantine(fleet.pins[0], "/usr/bin/sudo.real", hashlib.sha256(content).hexdigest())
    result = done(connector, replace(wish, parameters={"package_files": "take"}))
    assert result.error.startswith("protected: ")
