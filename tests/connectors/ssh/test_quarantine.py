"""Files taken away and brought back, on a host where somebody works against it."""

import contextlib
import hashlib
import json
import os
import stat
import struct
from pathlib import Path
from typing import Any

import pytest

from actioncenter.connectors.base import Outcome
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.target.places import VAULT, VAULT_KEY
from actioncenter.estate.lab import LabHost
from tests.connectors.ssh.asking import done, in_force, quarantine, undo
from tests.connectors.ssh.fleet import Fleet
from tests.connectors.ssh.plants import planted
from tests.connectors.ssh.wires import until

pytestmark = pytest.mark.hosts

HOME = "/home/ana/Downloads"
ANA = 1001
# The form of `man 7 capabilities`: version 2, effective, CAP_NET_RAW.
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
# As `setfacl -m u:1002:r` writes it: version 2, then tag, permissions and id of each entry.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in [(1, 6, 2**32 - 1), (2, 4, 1002), (4, 4, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1)]
)


def traits(path: Path) -> dict[str, Any]:
    found = path.stat()
    return {
        "content": path.read_bytes(),
        "owner": (found.st_uid, found.st_gid),
        "mode": oct(found.st_mode),
        "times": (found.st_mtime_ns, found.st_atime_ns),
        "attributes": {name: os.getxattr(path, name) for name in os.listxattr(path)},
    }


def test_all_that_it_was_comes_back(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    path = f"{HOME}/tool"
    sha256 = fleet.put(host, path, b"a tool", 0o4755, ANA)
    place = fleet.file(host, path)
    os.setxattr(place, "system.posix_acl_access", ACL)
    place.chmod(stat.S_IMODE(place.stat().st_mode) | stat.S_ISUID)
    os.setxattr(place, "security.capability", CAPABILITY)
    os.setxattr(place, "user.origin", b"https://evil.example")
    os.utime(place, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))
    before = traits(place)
    os.utime(place, ns=before["times"][::-1])
    before["times"] = (1_500_000_000_987_654_321, 1_600_000_000_123_456_789)
    assert len(before["attributes"]) == 3

    wish = quarantine(fleet.pins[0], path, sha256)
    result = done(connector, wish)
    assert not place.exists()
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED

    assert traits(place) == before


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (2 << 20) + 7])
def test_nothing_in_the_vault_can_be_read_or_run(
    fleet: Fleet, host: LabHost, connector: SshHosts, size: int
) -> None:
    raw, path = b"#!/bin/sh\necho harm\n" + bytes(size), f"{HOME}/tool"
    sha256 = fleet.put(host, path, raw, 0o755, ANA)
    fleet.put(host, f"{HOME}/twin", raw, 0o755, ANA)
    wishes = [quarantine(fleet.pins[0], each, sha256) for each in (path, f"{HOME}/twin")]
    results = [done(connector, wish) for wish in wishes]

    kept = [vault_file(fleet, host, result.before["vault"]).read_bytes() for result in results]
    assert [len(each) for each in kept] == [len(raw)] * 2
    assert kept[0][:16] != kept[1][:16], "two of the same have nothing in common"
    assert all(b"echo harm" not in each and bytes(64) not in each for each in kept)
    key = fleet.file(host, VAULT_KEY).stat()
    assert (stat.S_IMODE(key.st_mode), key.st_uid, key.st_size) == (0o400, 0, 32)

    assert done(connector, undo(wishes[0], results[0])).outcome is Outcome.SUCCEEDED
    assert fleet.file(host, path).read_bytes() == raw


def vault_file(fleet: Fleet, host: LabHost, name: str) -> Path:
    return fleet.file(host, f"{VAULT}/{name}")


@pytest.mark.parametrize("harm", ["a bit", "cut", "another key"])
def test_what_the_vault_no_longer_holds_as_it_was_never_comes_back(
    fleet: Fleet, host: LabHost, connector: SshHosts, harm: str
) -> None:
    path = f"{HOME}/tool"
    wish = quarantine(fleet.pins[0], path, fleet.put(host, path, b"a tool", 0o755, ANA))
    result = done(connector, wish)
    kept = vault_file(fleet, host, result.before["vault"])
    raw = kept.read_bytes()
    if harm == "another key":
        fleet.file(host, VAULT_KEY).unlink()
    else:
        kept.write_bytes(raw[:-1] if harm == "cut" else bytes([raw[0] ^ 1]) + raw[1:])
    said = done(connector, undo(wish, result))
    assert said.error.startswith("damaged: ")
    assert not list(fleet.file(host, HOME).iterdir())


def test_what_was_taken_in_before_vaults_were_encrypted_comes_back(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    path = f"{HOME}/tool"
    wish = quarantine(fleet.pins[0], path, fleet.put(host, path, b"a tool", 0o755, ANA))
    result = done(connector, wish)
    name = result.before["vault"]
    vault_file(fleet, host, name).write_bytes(b"a tool")
    record = vault_file(fleet, host, f"{name}.json")
    old = json.loads(record.read_text(encoding="utf-8"))
    del old["nonce"]
    record.write_text(json.dumps(old), encoding="utf-8")
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED
    assert fleet.file(host, path).read_bytes() == b"a tool"


def test_the_vault_is_for_root_alone(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    sha256 = fleet.put(host, f"{HOME}/tool", b"a tool", 0o4755, ANA)
    done(connector, quarantine(fleet.pins[0], f"{HOME}/tool", sha256))

    vault = fleet.file(host, "/var/lib/actioncenter/vault")
    assert stat.S_IMODE(vault.stat().st_mode) == 0o700
    for kept in vault.iterdir():
        assert kept.stat().st_uid == 0
        assert stat.S_IMODE(kept.stat().st_mode) & 0o177 == 0


def nothing_runs_any_more(fleet: Fleet, host: LabHost) -> None:
    """Its parent starts it anew as soon as it ends."""
    path = f"{HOME}/miner"
    sha256 = fleet.program(host, path)
    fleet.start(host, "/bin/sh", "-c", f"while :; do {path} 1000; done")
    assert until(lambda: len(fleet.programs(host, sha256)) == 1)
    wish = quarantine(fleet.pins[0], path, sha256)

    result = done(fleet.connector(), wish)

    assert fleet.programs(host, sha256) == []
    assert result.outcome is Outcome.SUCCEEDED
    assert result.after["killed"] >= 1
    assert any(name.startswith("sh (") for name in result.after["parents"])
    assert in_force(fleet.connector(), wish)


def test_a_parent_that_starts_it_again_loses(fleet: Fleet, host: LabHost) -> None:
    nothing_runs_any_more(fleet, host)


def test_the_checks_find_a_helper_that_leaves_the_file(fleet: Fleet, host: LabHost) -> None:
    mistake = planted(fleet, host, "quarantine.py", "            _remove(entry)\n", "            pass\n")
    with mistake, pytest.raises(AssertionError):
        nothing_runs_any_more(fleet, host)


def test_what_runs_although_it_was_deleted_is_stopped(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    path = f"{HOME}/ghost"
    sha256 = fleet.program(host, path)
    fleet.start(host, path, "1000")
    assert until(lambda: len(fleet.programs(host, sha256)) == 1)
    fleet.file(host, path).unlink()
    wish = quarantine(fleet.pins[0], path, sha256)
    assert not in_force(connector, wish)

    result = done(connector, wish)

    assert (result.outcome, result.after["killed"]) == (Outcome.SUCCEEDED, 1)
    assert in_force(connector, wish)


def test_copies_run_no_more_and_other_names_are_told(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    path = f"{HOME}/tool"
    sha256 = fleet.program(host, path)
    fleet.program(host, "/tmp/copy")
    fleet.start(host, "/tmp/copy", "1000")
    assert until(lambda: len(fleet.programs(host, sha256)) == 1)
    os.link(fleet.file(host, path), fleet.file(host, f"{HOME}/another name"))
    wish = quarantine(fleet.pins[0], path, sha256)
    assert any("1 more name" in text for text in connector.preview(wish).warnings)

    result = done(connector, wish)

    assert (result.after["killed"], result.after["more_links"]) == (1, 1)


# What is refused, each for its own reason, and untouched


def test_refusals_name_their_reason(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    good = fleet.put(host, f"{HOME}/real/tool", b"a tool", 0o755, ANA)
    home = fleet.file(host, HOME)
    (home / "link").symlink_to("real/tool")
    (home / "way").symlink_to("real")
    os.lchown(home / "way", ANA, ANA)
    os.mkfifo(home / "pipe")
    (home / "folder").mkdir()
    before = fleet.digest()
    expected = {
        f"{HOME}/link": "symlink",
        f"{HOME}/way/tool": "symlink",
        f"{HOME}/pipe": "not_a_file",
        f"{HOME}/folder": "not_a_file",
        f"{HOME}/real/../real/tool": "path",
        "real/tool": "path",
        f"{HOME}/\N{REPLACEMENT CHARACTER}": "path",
    }
    for path, code in expected.items():
        result = done(connector, quarantine(fleet.pins[0], path, good))
        assert (result.outcome, result.error.partition(":")[0]) == (Outcome.FAILED, code)
    for facts, code in [({"sha256": "e" * 64}, "hash_mismatch"), ({}, "no_hash")]:
        result = done(connector, quarantine(fleet.pins[0], f"{HOME}/real/tool", **facts))
        assert result.error.startswith(f"{code}: ")
    assert fleet.digest() == before


def test_the_systems_own_files_stay(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    """Through a link that root made, as /bin is one on most systems."""
    assert fleet.file(host, "/bin").is_symlink()
    for path, code in [
        ("/bin/true", "package_file"),
        ("/usr/bin/true", "package_file"),
        ("/usr/bin/python3.11", "protected"),
    ]:
        content = fleet.file(host, f"/usr{path.removeprefix('/usr')}").read_bytes()
        wish = quarantine(fleet.pins[0], path, hashlib.sha256(content).hexdigest())
        assert done(connector, wish).error.startswith(f"{code}: ")
    host.run("/bin/true")


@pytest.mark.parametrize(
    "name",
    ["new\nline", "quo'te\"s", "; touch /tmp/owned", "$(touch /tmp/owned)", "\u202egpj.exe", "-rf", "caf\udce9", "%s%n"],
    ids=["newline", "quotes", "semicolon", "command", "bidi", "option", "no utf-8", "format"],
)  # fmt: skip
def test_names_are_names(fleet: Fleet, host: LabHost, connector: SshHosts, name: str) -> None:
    path = f"{HOME}/{name}"
    sha256 = fleet.put(host, path, name.encode(errors="surrogateescape"), 0o644, ANA)
    wish = quarantine(fleet.pins[0], path, sha256)

    result = done(connector, wish)
    assert result.outcome is Outcome.SUCCEEDED
    assert not fleet.file(host, path).exists()
    assert done(connector, undo(wish, result)).outcome is Outcome.SUCCEEDED

    assert fleet.file(host, path).exists()
    assert not fleet.file(host, "/tmp/owned").exists()


# Somebody who swaps things while we work

RACER = """
while :; do
    ln -sfn /srv/precious {home}/draft && mv -T {home}/draft {home}/bait/tool
    cp {home}/tool {home}/draft2 && mv -T {home}/draft2 {home}/bait/tool
    mv -T {home}/bait {home}/bait2 && ln -sfn /srv {home}/bait && rm {home}/bait && mv -T {home}/bait2 {home}/bait
done
"""


def test_a_race_on_the_path_hits_nothing_else(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    fleet.put(host, "/srv/tool", b"precious too")
    fleet.put(host, "/srv/precious", b"precious")
    sha256 = fleet.put(host, f"{HOME}/tool", b"bait", 0o755, ANA)
    fleet.put(host, f"{HOME}/bait/tool", b"bait", 0o755, ANA)
    for folder in (HOME, f"{HOME}/bait"):
        os.chown(fleet.file(host, folder), ANA, ANA)
    fleet.start(host, "/bin/sh", "-c", RACER.format(home=HOME))
    outcomes = set()
    for _ in range(6):
        with contextlib.suppress(FileExistsError):
            result = done(connector, quarantine(fleet.pins[0], f"{HOME}/bait/tool", sha256))
            outcomes.add(result.outcome)
    assert outcomes <= {Outcome.SUCCEEDED, Outcome.FAILED, Outcome.GONE, Outcome.ALREADY}
    assert fleet.file(host, "/srv/precious").read_bytes() == b"precious"
    assert fleet.file(host, "/srv/tool").read_bytes() == b"precious too"
