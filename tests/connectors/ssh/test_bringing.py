"""Samples and packages: the right content, whole, within limits, and what a bad host can't do with that."""

import gzip
import hashlib
import io
import json
import resource
import tarfile
from dataclasses import replace

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Artefact, Continue, Done, Outcome, Request, Result, Transient
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.connectors.ssh.target.places import JOBS
from actioncenter.estate.lab import LabHost
from tests.connectors.harness import Notes
from tests.connectors.ssh.asking import request
from tests.connectors.ssh.fleet import Fleet
from tests.connectors.ssh.unzipping import unlocked
from tests.connectors.ssh.wires import until

pytestmark = pytest.mark.hosts

PATH = "/home/ana/Downloads/tool.bin"
POLLS = 300


def sample(fleet: Fleet, **facts: str) -> Request:
    return request(ActionType.REQUEST_SAMPLE, fleet.pins[0], facts)


def package(fleet: Fleet) -> Request:
    return request(ActionType.COLLECT_PACKAGE, fleet.pins[0])


def ended(connector: SshHosts, of: Request) -> tuple[Result, list[Artefact]]:
    cursor, files = None, list[Artefact]()
    for _ in range(POLLS):
        answer = connector.step(of, cursor, Notes())
        files += answer.artefacts
        if isinstance(answer, Done):
            (result,) = answer.results
            return result, files
        cursor = answer.cursor
        until(lambda: False, min(answer.wait, 0.2))
    raise AssertionError("it never ends")


def content(file: Artefact) -> bytes:
    return unlocked(b"".join(file.blocks()), file.password.encode())[1]


# Samples


def test_it_is_the_judged_file_in_a_locked_zip(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    raw = bytes(range(256)) * 5000
    sha256 = fleet.put(host, PATH, raw, 0o755, 1001)
    before = fleet.state(host)
    result, (file,) = ended(connector, sample(fleet, path=PATH, sha256=sha256))
    assert (result.outcome, result.after) == (Outcome.SUCCEEDED, {"sha256": sha256, "size": len(raw)})
    assert (file.name, file.media_type) == (f"sample-{sha256[:12]}.zip", "application/zip")
    assert unlocked(b"".join(file.blocks()), b"infected") == (f"{sha256}.bin", raw)
    assert fleet.state(host) == before


def test_a_deleted_program_is_taken_from_what_runs(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    sha256 = fleet.program(host, PATH)
    raw = fleet.file(host, PATH).read_bytes()
    fleet.start(host, PATH, "1000")
    assert until(lambda: fleet.programs(host, sha256))
    fleet.file(host, PATH).unlink()
    fleet.put(host, PATH, b"something harmless in its place")
    _, (file,) = ended(connector, sample(fleet, path=PATH, sha256=sha256))
    assert content(file) == raw


def linked(fleet: Fleet, host: LabHost) -> str:
    fleet.file(host, PATH).parent.mkdir(parents=True, exist_ok=True)
    fleet.file(host, PATH).symlink_to("/etc/shadow")
    return "symlink"


def linked_folder(fleet: Fleet, host: LabHost) -> str:
    folder = fleet.file(host, PATH).parent / "in"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to("/etc")
    return "symlink"


def piped(fleet: Fleet, host: LabHost) -> str:
    host.run("/bin/sh", "-c", f"mkdir -p /home/ana/Downloads; mkfifo {PATH}")
    return "not_a_file"


def absent(fleet: Fleet, host: LabHost) -> str:
    return "not_found"


def another(fleet: Fleet, host: LabHost) -> str:
    fleet.put(host, PATH, b"another")
    return "hash_mismatch"


@pytest.mark.sampled(3)
@pytest.mark.parametrize("make", [linked, linked_folder, piped, absent, another])
def test_what_is_not_the_file_is_not_taken(
    fleet: Fleet, host: LabHost, connector: SshHosts, make: object
) -> None:
    code = make(fleet, host)  # type: ignore[operator]
    path = "/home/ana/Downloads/in/shadow" if make is linked_folder else PATH
    result, files = ended(connector, sample(fleet, path=path, sha256="e" * 64))
    assert (result.outcome, files) == (Outcome.FAILED, [])
    assert result.error.startswith(f"{code}: "), result.error


def test_what_changes_before_it_is_sent_is_not_passed_off(
    fleet: Fleet, host: LabHost, connector: SshHosts
) -> None:
    sha256 = fleet.put(host, PATH, b"one")
    wish = sample(fleet, path=PATH, sha256=sha256)
    answer = connector.step(wish, None, Notes())
    assert isinstance(answer, Continue)
    fleet.put(host, PATH, b"two")
    done = connector.step(wish, answer.cursor, Notes())
    assert isinstance(done, Done)
    assert not done.artefacts
    assert done.results[0].outcome is Outcome.FAILED
    assert "hash_mismatch" in done.results[0].error


# Packages


def test_a_package_holds_what_people_ask_for_first(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    sha256 = fleet.program(host, PATH)
    fleet.start(host, PATH, "1000")
    assert until(lambda: fleet.programs(host, sha256))
    fleet.put(host, "/tmp/left.sh", b"echo hello", 0o755, 1001)
    fleet.put(host, "/home/ana/.bash_history", b"curl x | sh\n", 0o600, 1001)
    fleet.file(host, "/home/ana/.profile").unlink(missing_ok=True)
    fleet.file(host, "/home/ana/.profile").symlink_to("/etc/shadow")

    result, (file,) = ended(connector, package(fleet))

    assert result.outcome is Outcome.SUCCEEDED
    raw = b"".join(file.blocks())
    assert result.after["sha256"] == hashlib.sha256(raw).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as archive:
        parts = {each.name: archive.extractfile(each).read() for each in archive.getmembers()}  # type: ignore[union-attr]
    manifest = json.loads(parts.pop("manifest.json"))
    assert set(manifest["items"]) == set(parts)
    for name, part in parts.items():
        assert manifest["items"][name]["sha256"] == hashlib.sha256(part).hexdigest()
    programs = [each.get("program") for each in json.loads(parts["processes/processes.json"])]
    assert sha256 in [each["sha256"] for each in programs if each]
    assert parts["people/home/ana/.bash_history"] == b"curl x | sh\n"
    files = {each["path"]: each for each in json.loads(parts["writable/files.json"])}
    assert files["/tmp/left.sh"]["sha256"] == hashlib.sha256(b"echo hello").hexdigest()
    assert b"root:" in parts["system/etc/passwd"]
    assert not any("shadow" in name or "id_ed25519" in name for name in parts)
    assert not any("/.profile" in name and "ana" in name for name in parts), "a link was followed"
    assert {"commands/sockets.txt", "commands/addresses.json", "commands/packages.txt"} <= set(parts)


def test_one_that_would_be_too_large_leaves_nothing(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    result, files = ended(connector, replace(package(fleet), max_bytes=2000))
    assert (result.outcome, files) == (Outcome.FAILED, [])
    assert result.error.startswith("too_big: ")
    assert not list(fleet.file(host, JOBS).glob("*.made"))


def test_a_package_that_is_cancelled_leaves_nothing(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    """Where it is done before anybody could cancel it, another is begun."""
    fleet.burden(host)
    for _ in range(20):
        wish = package(fleet)
        answer = connector.step(wish, None, Notes())
        assert isinstance(answer, Continue)
        cancelled = connector.cancel(wish, answer.cursor)
        result, files = ended(connector, wish)
        assert result.outcome is (Outcome.CANCELLED if cancelled else Outcome.SUCCEEDED)
        if cancelled:
            break
    assert (result.outcome, files) == (Outcome.CANCELLED, [])
    assert not list(fleet.file(host, JOBS).glob("*.made*"))
    assert not fleet.acted(host, wish.id)


# Hosts in somebody else's hands

_FRAMES = """exec /usr/bin/python3 -c '
import json, struct, sys, time
call = json.load(sys.stdin)
head = {"id": call["id"], "nonce": call["nonce"], "helper": call["helper"]}
def frame(raw): sys.stdout.buffer.write(struct.pack(">I", len(raw)) + raw)
def note(**more): frame(json.dumps({**head, **more}).encode()); sys.stdout.buffer.flush()
ZEROS = bytes(1 << 16)
HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
if call["call"] != "fetch":
    key = call["items"][0]["key"]
    after = {"sha256": HELLO, "size": 5}
    print(json.dumps({**head, call["call"]: [{"key": key, "outcome": "succeeded", "before": {}, "after": after}]}))
    sys.exit()
%s
'"""
TRICKS = {
    "ten gigabytes, and says so": ("note(size=10 << 30, sha256=HELLO)", "too_big"),
    "ten gigabytes of five": ("note(size=5, sha256=HELLO)\nwhile True: frame(ZEROS)", "too_big"),
    "endless head": ("while True: sys.stdout.buffer.write(ZEROS)", "nonsense"),
    "a huge frame": ("note(size=5, sha256=HELLO); sys.stdout.buffer.write(b\"\\xff\" * 8)", "nonsense"),
    "never ends": ("note(size=5, sha256=HELLO); frame(b\"hello\"); time.sleep(1000)", "too_slow"),
    "slowly": ("note(size=5, sha256=HELLO)\nwhile True: time.sleep(0.3); frame(b\"h\")", "too_"),
    "lies about its hash": ("note(size=5, sha256=HELLO); frame(b\"HELLO\"); frame(b\"\"); note(sent=True)", "hash_mismatch"),
    "another file than it looked at": (
        "import hashlib; note(size=5, sha256=hashlib.sha256(b\"H\").hexdigest()); frame(b\"H\"); frame(b\"\"); note(sent=True)",
        "hash_mismatch"),
    "less than it said": ("note(size=5, sha256=HELLO); frame(b\"hel\"); frame(b\"\"); note(sent=True)", "hash_mismatch"),
    "no last word": ("note(size=5, sha256=HELLO); frame(b\"hello\"); frame(b\"\"); note(sent=1)", "nonsense"),
    "for another job": ("head[\"id\"] = \"x\"; note(size=5, sha256=HELLO); frame(b\"hello\")", "nonsense"),
    "an old answer": ("head[\"nonce\"] = \"x\"; note(size=5, sha256=HELLO); frame(b\"hello\")", "nonsense"),
    "another helper": ("head[\"helper\"] = \"x\"; note(size=5, sha256=HELLO); frame(b\"hello\")", "nonsense"),
    "a code of ours": ("note(error={\"code\": \"credentials\", \"text\": \"no\"})", "refused"),
    "a negative size": ("note(size=-1, sha256=HELLO); frame(b\"\"); note(sent=True)", "too_big"),
    "a list": ("frame(b\"[]\")", "nonsense"),
}  # fmt: skip


@pytest.mark.sampled(5)
@pytest.mark.parametrize(("trick", "code"), TRICKS.values(), ids=TRICKS)
def test_whatever_a_host_sends_nothing_false_is_kept(
    fleet: Fleet, host: LabHost, connector: SshHosts, trick: str, code: str
) -> None:
    fleet.answers_by(host, _FRAMES % trick)
    wish = replace(sample(fleet, path=PATH, sha256=""), max_bytes=1_000_000, max_seconds=2.0)
    result, files = ended(connector, wish)
    assert (result.outcome, files) == (Outcome.FAILED, [])
    assert result.error.startswith(code), result.error


def test_what_breaks_off_is_asked_for_again(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    """Nothing was changed anywhere, so it isn't unknown."""
    fleet.answers_by(host, _FRAMES % 'note(size=5, sha256=HELLO); frame(b"he")')
    wish = sample(fleet, path=PATH, sha256="")
    answer = connector.step(wish, None, Notes())
    assert isinstance(answer, Continue)
    notes = Notes()
    with pytest.raises(Transient) as caught:
        connector.step(wish, answer.cursor, notes)
    assert caught.value.offline
    assert notes.intents == []
    honest = 'note(size=5, sha256=HELLO); frame(b"hello"); frame(b""); note(sent=True)'
    fleet.answers_by(host, _FRAMES % honest)
    done = connector.step(wish, answer.cursor, notes)
    assert isinstance(done, Done)
    assert content(done.artefacts[0]) == b"hello"


def test_what_was_judged_is_what_comes(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    """A host that is honest about sending another file than the one that was asked for."""
    honest = 'note(size=5, sha256=HELLO); frame(b"hello"); frame(b""); note(sent=True)'
    fleet.answers_by(host, _FRAMES % honest)
    result, files = ended(connector, sample(fleet, path=PATH, sha256="e" * 64))
    assert (result.outcome, files) == (Outcome.FAILED, [])
    assert result.error.startswith("hash_mismatch: ")


def test_a_bomb_stays_packed(fleet: Fleet, host: LabHost, connector: SshHosts) -> None:
    """What was packed there is kept as it came: nobody here unpacks it, whatever it would become."""
    # Its hex goes to the host as one argument, of which Linux takes 128 KiB.
    bomb = gzip.compress(bytes(48 << 20))
    sha256, script = hashlib.sha256(bomb).hexdigest(), _FRAMES.replace('"size": 5', f'"size": {len(bomb)}')
    hello = hashlib.sha256(b"hello").hexdigest()
    whole = f'note(size={len(bomb)}, sha256=HELLO); frame(bytes.fromhex("{bomb.hex()}")); frame(b""); note(sent=True)'
    fleet.answers_by(host, script.replace(hello, sha256) % whole)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, (file,) = ended(connector, package(fleet))
    assert b"".join(file.blocks()) == bomb
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KiB
