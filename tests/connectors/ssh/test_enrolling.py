"""What a host may have that keeps our connection from working is said when it is enrolled, not at the first action."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actioncenter.connectors.base import Permanent
from actioncenter.connectors.ssh import enrolling, installer
from actioncenter.connectors.ssh.authority import Authority
from actioncenter.connectors.ssh.pins import Pin
from actioncenter.estate.lab import LabHost
from tests.connectors.ssh.fleet import SEED, USER, Fleet

pytestmark = pytest.mark.hosts


def enrolled(fleet: Fleet, user: str = USER) -> list[tuple[str, str]]:
    way = enrolling.Way("root", str(fleet.lab.admin_key), fleet.lab.management)
    return enrolling.enrol(Pin.read(fleet.pins[0]), way, user, Authority(SEED))


@pytest.fixture
def config(fleet: Fleet, host: LabHost) -> Iterator[Path]:
    path = fleet.file(host, "/etc/ssh/sshd_config")
    before = path.read_text(encoding="utf-8")
    yield path
    path.write_text(before, encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "user"),
    [("useradd --system --shell /usr/sbin/nologin daemon2", "daemon2"), ("true", "root")],
    ids=["no shell", "root"],
)
def test_an_account_that_runs_nothing_or_everything_is_refused(
    fleet: Fleet, host: LabHost, command: str, user: str
) -> None:
    """Where the product itself is installed, its account has no shell: each action there would be lost."""
    host.run("/bin/sh", "-c", command)
    before = fleet.file(host, installer.SSHD).read_bytes()
    with pytest.raises(Permanent, match=f"There is an account {user} already"):
        enrolled(fleet, user)
    assert fleet.file(host, installer.SSHD).read_bytes() == before


def test_an_sshd_that_reads_nothing_of_it_is_said(fleet: Fleet, host: LabHost, config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("Include /etc/ssh/sshd_config.d/*.conf\n", ""), encoding="utf-8")
    with pytest.raises(Permanent, match="head of /etc/ssh/sshd_config"):
        enrolled(fleet)


def test_who_alone_may_sign_in_is_told(fleet: Fleet, host: LabHost, config: Path) -> None:
    with config.open("a", encoding="utf-8") as file:
        file.write("AllowGroups wheel\n")
    assert ("look whether sshd lets it in", "allowgroups wheel") in enrolled(fleet)


def test_with_selinux_what_lies_there_is_labelled(fleet: Fleet, host: LabHost) -> None:
    """By the host's own tool; this kernel has none, so a stand-in writes down what it was told."""
    fleet.put(host, installer.RELABEL, b'#!/bin/sh\nprintf "%s\\n" "$@" > /run/lab/labelled\n', 0o755)
    script = Path(installer.__file__).read_text(encoding="utf-8").replace(installer.SELINUX, "/run/lab")
    wanted = (installer.FOLDER, installer.TRUST, installer.RIGHT, installer.SSHD)
    host.run("/usr/bin/python3", "-c", f"{script.partition('if __name__')[0]}\n_relabel{wanted}")
    told = fleet.file(host, "/run/lab/labelled").read_text(encoding="utf-8").split()
    fleet.file(host, installer.RELABEL).unlink()
    assert told == ["-RF", *wanted]
