"""A kernel module is unloaded and kept from coming back.

The kernel under the lab's hosts may load no modules, so this stands in for it: a list of what is loaded in a plain
file, and a `modprobe` that keeps it as the real one would, down to what it reads in /etc/modprobe.d.
"""

from collections.abc import Iterator

import pytest

from actioncenter.actions.enums import ActionType, TargetKind
from actioncenter.connectors.base import Outcome, Request, Support, Unknown
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.estate.lab import LabHost
from tests.connectors.harness import Notes
from tests.connectors.ssh.asking import done, in_force, request, undo
from tests.connectors.ssh.fleet import Fleet
from tests.connectors.ssh.plants import planted

pytestmark = pytest.mark.hosts

RULE = "/etc/modprobe.d/actioncenter-evil_lkm.conf"
_MODPROBE = r"""#!/bin/sh
if [ "$1" = -r ]; then
    [ -e "/run/lab/busy" ] && { echo "Module $3 is in use." >&2; exit 1; }
    grep -v "^$3 " /run/lab/modules > /run/lab/modules.new; mv /run/lab/modules.new /run/lab/modules
elif grep -qs "^install $2 /bin/false" /etc/modprobe.d/*.conf; then
    echo "Error running install command" >&2; exit 1
else
    echo "$2 16384 0 - Live 0x0000000000000000" >> /run/lab/modules
fi
"""
_MODINFO = b"#!/bin/sh\necho /lib/modules/6.1/extra/evil-lkm.ko.xz\n"
LOADED = b"evil_lkm 16384 0 - Live 0x0\nused 16384 3 other, Live 0x0\nnf_tables 16384 0 - Live 0x0\n"


@pytest.fixture
def kernel(fleet: Fleet, host: LabHost) -> Iterator[LabHost]:
    fleet.put(host, "/run/lab/modules", LOADED)
    fleet.put(host, "/run/lab/modprobe", _MODPROBE.encode(), 0o755)
    fleet.put(host, "/run/lab/modinfo", _MODINFO, 0o755)
    right = 'LOADED = "/proc/modules"\nMODPROBE = "/usr/sbin/modprobe"\nMODINFO = "/usr/sbin/modinfo"'
    ours = right.replace("/proc/", "/run/lab/").replace("/usr/sbin/", "/run/lab/")
    with planted(fleet, host, "drivers.py", right, ours):
        yield host
    fleet.file(host, RULE).unlink(missing_ok=True)


def disabling(fleet: Fleet, name: str = "evil-lkm", **facts: object) -> Request:
    return request(ActionType.DISABLE_DRIVER, fleet.pins[0], {"name": name, **facts})


def loaded(fleet: Fleet, host: LabHost) -> bool:
    return "evil_lkm" in fleet.file(host, "/run/lab/modules").read_text(encoding="ascii")


def test_it_is_unloaded_stays_so_and_comes_back(fleet: Fleet, kernel: LabHost, connector: SshHosts) -> None:
    wish = disabling(fleet)
    assert not in_force(connector, wish)

    result = done(connector, wish)

    assert result.outcome is Outcome.SUCCEEDED
    assert in_force(connector, wish)
    assert not loaded(fleet, kernel)
    kernel.run("/bin/sh", "-c", "! /run/lab/modprobe -- evil_lkm")
    assert done(connector, wish) == result
    assert done(connector, disabling(fleet)).outcome is Outcome.ALREADY
    assert len(fleet.acted(kernel, wish.id)) == 1

    back = undo(wish, result)
    assert done(connector, back).outcome is Outcome.SUCCEEDED
    assert in_force(connector, back)
    assert loaded(fleet, kernel)
    assert not fleet.file(kernel, RULE).exists()
    assert done(connector, undo(wish, result)).outcome is Outcome.ALREADY


@pytest.mark.parametrize(
    ("facts", "fits"),
    [
        ({"path": "/lib/modules/6.1/extra/evil-lkm.ko.xz"}, True),
        ({"path": "/home/ana/evil-lkm.ko"}, False),
        ({"sha256": "right"}, True),
        ({"path": "/lib/modules/6.1/extra/evil-lkm.ko.xz", "sha256": "0" * 64}, False),
    ],
)
def test_a_file_that_only_has_its_name_disables_nothing(
    fleet: Fleet, kernel: LabHost, connector: SshHosts, facts: dict[str, str], fits: bool
) -> None:
    """Whoever writes files chooses their names."""
    sha256 = fleet.put(kernel, "/lib/modules/6.1/extra/evil-lkm.ko.xz", b"the module")
    known = {name: sha256 if value == "right" else value for name, value in facts.items()}

    result = done(connector, disabling(fleet, **known))

    assert result.outcome is (Outcome.SUCCEEDED if fits else Outcome.FAILED)
    assert fits or result.error.startswith("other_file: ")
    assert loaded(fleet, kernel) is not fits


@pytest.mark.long
def test_one_that_was_not_loaded_is_not_loaded_by_undo(
    fleet: Fleet, kernel: LabHost, connector: SshHosts
) -> None:
    fleet.put(kernel, "/run/lab/modules", b"")
    wish = disabling(fleet, path="/lib/modules/6.1/extra/evil-lkm.ko.xz", name="")
    result = done(connector, wish)
    assert result.outcome is Outcome.SUCCEEDED
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
    assert not loaded(fleet, kernel)


def test_a_rule_that_somebody_edited_is_left(fleet: Fleet, kernel: LabHost, connector: SshHosts) -> None:
    wish = disabling(fleet)
    result = done(connector, wish)
    fleet.put(kernel, RULE, b"# mine\n")
    assert not in_force(connector, wish)
    assert done(connector, undo(wish, result)).error.startswith("conflict: ")
    assert fleet.file(kernel, RULE).read_bytes() == b"# mine\n"
    assert not loaded(fleet, kernel)


@pytest.mark.parametrize(
    ("name", "code"),
    [("used", "in_use"), ("nf_tables", "protected"), ("-r", "name"), ("a/../b c", "name"), ("", "name")],
)
@pytest.mark.sampled(1)
def test_refusals_name_their_reason(
    fleet: Fleet, kernel: LabHost, connector: SshHosts, name: str, code: str
) -> None:
    assert done(connector, disabling(fleet, name)).error.startswith(f"{code}: ")
    assert fleet.file(kernel, "/run/lab/modules").read_bytes() == LOADED


@pytest.mark.long
def test_one_that_cannot_be_unloaded_is_left_as_it_was(
    fleet: Fleet, kernel: LabHost, connector: SshHosts
) -> None:
    fleet.put(kernel, "/run/lab/busy", b"")
    result = done(connector, disabling(fleet))
    assert (result.outcome, result.error) == (
        Outcome.FAILED,
        "in_use: It can't be unloaded: Module evil_lkm is in use.",
    )
    assert not fleet.file(kernel, RULE).exists()
    assert loaded(fleet, kernel)


def test_a_lost_answer_is_found_in_the_journal(fleet: Fleet, kernel: LabHost, connector: SshHosts) -> None:
    wish = disabling(fleet)
    fleet.file(kernel, "/run/lab/after").mkdir()
    with pytest.raises(Unknown):
        connector.step(wish, None, Notes())
    assert done(connector, wish).outcome is Outcome.SUCCEEDED
    assert len(fleet.acted(kernel, wish.id)) == 1


def test_a_kernel_without_modules_says_so(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    with planted(fleet, host, "drivers.py", '"/proc/modules"', '"/run/lab/none"'):
        found = connector.capabilities(TargetKind.DEVICE, fleet.pins[0])[ActionType.DISABLE_DRIVER]
        assert (found.support, found.reason) == (Support.UNSUPPORTED, "Its kernel loads no modules.")
        assert done(connector, disabling(fleet)).error.startswith("no_modules: ")
