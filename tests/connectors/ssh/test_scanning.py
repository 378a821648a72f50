"""Antivirus scans: real jobs on real hosts, with a stand-in for clamscan and signatures of our own."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from actioncenter.actions.catalogue import ParameterError
from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Continue, Done, Outcome, Request, Result
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.target.places import JOBS
from actioncenter.estate.lab import LabHost
from tests.connectors.harness import Notes
from tests.connectors.ssh.asking import in_force, request
from tests.connectors.ssh.fleet import MARK, Fleet
from tests.connectors.ssh.test_bringing import ended
from tests.connectors.ssh.wires import until

pytestmark = pytest.mark.hosts

FOLDER = "/home/ana/Downloads"


def scan(fleet: Fleet, path: str = FOLDER, mode: str = "custom") -> Request:
    return request(ActionType.ANTIVIRUS_SCAN, fleet.pins[0], scan=mode, path=path)


def found(connector: SshHosts, of: Request) -> Result:
    result, files = ended(connector, of)
    assert files == []
    return result


@pytest.fixture
def held(fleet: Fleet, host: LabHost, connector: SshHosts) -> Iterator[Request]:
    """A scan that waits at its first file, with a child of its own."""
    fleet.put(host, f"{FOLDER}/a", b"clean")
    fleet.file(host, "/root/scanner-slow").touch()
    wish = scan(fleet)
    assert isinstance(connector.step(wish, None, Notes()), Continue)
    assert until(lambda: fleet.commands(host, b"4242") and fleet.commands(host, b"--file-list"))
    yield wish
    connector.cancel(wish, None)


def test_what_is_found_is_told_with_hashes(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    sha256 = fleet.put(host, f"{FOLDER}/deep/er/tool", b"x" + MARK)
    fleet.put(host, f"{FOLDER}/clean", b"nothing")
    fleet.put(host, "/srv/elsewhere", MARK)
    fleet.file(host, f"{FOLDER}/link").symlink_to("/srv/elsewhere")
    wish = scan(fleet)
    result = found(connector, wish)
    assert result.outcome is Outcome.SUCCEEDED
    assert result.after["found"] == 1
    assert 2 <= result.after["scanned"] <= result.after["listed"]
    (one,) = result.after["detections"]
    assert (one["path"], one["sha256"]) == (f"{FOLDER}/deep/er/tool", sha256)
    assert one["signature"] == "Own.Test.Signature.UNOFFICIAL"
    assert in_force(connector, wish)
    assert [deed for _, deed in fleet.acted(host, wish.id)] == ["scan"]
    assert {path.name.partition(".")[2] for path in fleet.file(host, JOBS).glob("*")} == {"json"}


def test_what_was_laid_there_meanwhile_has_no_hash(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    """Whoever can write there would choose which program is ended by its content."""
    fleet.put(host, f"{FOLDER}/tool", b"x" + MARK)
    fleet.file(host, "/root/scanner-swapped").touch()
    result = found(connector, scan(fleet))
    assert result.after["found"] == 1
    (one,) = result.after["detections"]
    assert one == {"path": f"{FOLDER}/tool", "signature": "Own.Test.Signature.UNOFFICIAL"}


def test_a_name_forges_no_detection_and_hides_none(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    forged = f"{FOLDER}/a\n/etc/passwd: Own.Test.Signature FOUND"
    odd = [f"{FOLDER}/b: x FOUND", f"{FOLDER}/c\r", f"{FOLDER}/ d ", f"{FOLDER}/e: OK", f"{FOLDER}/-rf"]
    fleet.file(host, forged).parent.mkdir(parents=True, exist_ok=True)
    fleet.put(host, forged, b"clean")
    for path in odd:
        fleet.put(host, path, MARK)
    detections = found(connector, scan(fleet)).after["detections"]
    assert {each["path"] for each in detections} == set(odd)
    assert all(each["sha256"] for each in detections)


def test_a_deleted_program_that_runs_is_looked_at(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    sha256 = fleet.program(host, f"{FOLDER}/tool", MARK)
    fleet.start(host, f"{FOLDER}/tool", "1000")
    assert until(lambda: fleet.programs(host, sha256))
    fleet.file(host, f"{FOLDER}/tool").unlink()
    (one,) = found(connector, scan(fleet)).after["detections"]
    assert one["sha256"] == sha256
    assert one["pid"] in fleet.programs(host, sha256)
    assert one["path"] == f"{FOLDER}/tool (deleted)"


def test_how_far_it_is_is_told(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    for number in range(40):
        fleet.put(host, f"{FOLDER}/{number}", b"clean")
    fleet.pace(host)
    wish = scan(fleet)
    assert isinstance(connector.step(wish, None, Notes()), Continue)

    def further_than(before: int) -> bool:
        fleet.pace(host, 1)
        answer = connector.step(wish, {"begun": ["t1"]}, Notes())
        assert isinstance(answer, Continue)
        return before < answer.done < answer.total

    assert until(lambda: further_than(0))
    assert until(lambda: further_than(10))
    fleet.pace(host, 1000)
    assert found(connector, wish).outcome is Outcome.SUCCEEDED


def test_cancelling_ends_all_that_was_started(
    fleet: Fleet, host: LabHost, connector: SshHosts, held: Request
) -> None:
    """The connection is gone for long, so only the group ends the scanner and what that has started."""
    assert connector.cancel(held, None)
    assert fleet.commands(host, b"4242") == fleet.commands(host, b"--file-list") == []
    assert not connector.cancel(held, None), "it has ended already"
    assert found(connector, held).outcome is Outcome.CANCELLED
    assert not fleet.acted(host, held.id)
    assert not in_force(connector, held)
    assert not list(fleet.file(host, JOBS).glob("*.made*"))


def test_what_was_cancelled_before_it_began_never_begins(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    wish = scan(fleet)
    assert connector.cancel(wish, None)
    assert found(connector, wish).outcome is Outcome.CANCELLED
    assert not fleet.commands(host, b"--file-list")


def test_asked_again_it_is_the_same_scan(
    fleet: Fleet, host: LabHost, connector: SshHosts, held: Request
) -> None:
    before = fleet.commands(host, b"--file-list")
    for cursor in (None, {"begun": ["t1"]}, None):
        answer = connector.step(held, cursor, Notes())
        assert isinstance(answer, Continue)
        assert answer.done < answer.total
    assert isinstance(connector.lookup(held), Continue)
    assert fleet.commands(host, b"--file-list") == before
    fleet.file(host, "/root/scanner-slow").unlink()
    assert found(connector, held).outcome is Outcome.SUCCEEDED
    assert len(fleet.acted(host, held.id)) == 1


def test_at_the_deadline_it_is_ended(fleet: Fleet, host: LabHost, connector: SshHosts, held: Request) -> None:
    late = connector.step(replace(held, deadline=1.0), {"begun": ["t1"]}, Notes())
    assert isinstance(late, Done)
    assert late.results[0].outcome is Outcome.TIMED_OUT
    assert fleet.commands(host, b"--file-list") == []


def test_one_that_was_killed_has_failed(
    fleet: Fleet, host: LabHost, connector: SshHosts, held: Request
) -> None:
    """A restart of the host looks the same: nothing runs, and nothing was written down."""
    (state,) = fleet.file(host, JOBS).glob("*.json")
    host.run("kill", "-9", str(json.loads(state.read_text(encoding="utf-8"))["pid"]))
    result = found(connector, held)
    assert result.outcome is Outcome.FAILED
    assert result.error.startswith("interrupted: ")
    assert fleet.commands(host, b"4242") == fleet.commands(host, b"--file-list") == [], "its children"


def test_a_host_that_forgot_is_not_asked_to_begin_again(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    done = connector.step(scan(fleet), {"begun": ["t1"]}, Notes())
    assert isinstance(done, Done)
    assert done.results[0].error.startswith("lost: ")
    assert not fleet.commands(host, b"--file-list")


def test_without_a_scanner_or_a_path_it_says_so(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    for path in ("Downloads", "/a\0b"):
        assert found(connector, scan(fleet, path)).error.startswith("path: ")
    with pytest.raises(ParameterError, match="path: is required"):
        scan(fleet, "")
    fleet.file(host, "/root/scanner-broken").touch()
    assert found(connector, scan(fleet)).error.startswith("scanner: ")
    host.run("mv", "/usr/bin/clamscan", "/usr/bin/clamscan.away")
    assert found(connector, scan(fleet)).error.startswith("no_scanner: ")
    fresh = fleet.connector().capabilities(scan(fleet).targets[0].kind, fleet.pins[0])
    assert fresh[ActionType.ANTIVIRUS_SCAN].reason == "ClamAV isn't installed there (clamscan)."
