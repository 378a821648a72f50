"""The locked zip: as the format is published, for another reader of it, and for 7-Zip where that is installed."""

import random
import shutil
import subprocess
import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from actioncenter.connectors.ssh.aeszip import PASSWORD, locked
from actioncenter.connectors.ssh.spool import Spool
from tests.conftest import skip_for
from tests.connectors.ssh.unzipping import unlocked

SEVEN = shutil.which("7z") or shutil.which("7zz") or shutil.which("7zr")


def made(content: bytes, cut: int = 999) -> bytes:
    blocks = [content[at : at + cut] for at in range(0, len(content), cut)]
    return b"".join(locked("sample.bin", len(content), blocks))


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 65535, 65536, 65537, 200_000])
def test_another_reader_finds_the_same(size: int) -> None:
    content = random.Random(size).randbytes(size)
    raw = made(content)
    assert unlocked(raw, PASSWORD.encode()) == ("sample.bin", content)
    assert size < 16 or content[:16] not in raw


def test_it_needs_the_password_and_shows_any_change() -> None:
    raw = made(b"a sample of something" * 50)
    with pytest.raises(ValueError, match="password"):
        unlocked(raw, b"another")
    with pytest.raises(RuntimeError, match=r"password|encrypted"):
        zipfile.ZipFile(BytesIO(raw)).read("sample.bin")
    at = raw.index(b"AE") + 40
    with pytest.raises(ValueError, match="changed"):
        unlocked(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :], PASSWORD.encode())


def test_two_of_the_same_have_nothing_in_common() -> None:
    first, second = made(bytes(1000)), made(bytes(1000))
    assert first[100:900] != second[100:900]


@pytest.mark.parametrize("size", [9, 11])
def test_another_size_than_was_said_is_no_zip(size: int) -> None:
    with pytest.raises(ValueError, match="size"):
        list(locked("a", size, [bytes(10)]))


@pytest.mark.seven_zip
def test_7_zip_opens_it(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if SEVEN is None:
        skip_for(request, "7zip", "7-Zip is not installed (apt install 7zip)")
    content = random.Random(7).randbytes(100_001)
    (tmp_path / "a.zip").write_bytes(made(content))
    assert SEVEN is not None
    command = [SEVEN, "x", f"-p{PASSWORD}", f"-o{tmp_path}", str(tmp_path / "a.zip")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert (tmp_path / "sample.bin").read_bytes() == content


def test_large_ones_pass_through_little_memory() -> None:
    spool = Spool()
    for _ in range(40):
        spool.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        total = sum(map(len, locked("a", spool.size, spool.blocks())))
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    assert total > 40 << 20


def test_on_disk_lies_nothing_that_can_be_read() -> None:
    spool = Spool()
    spool.write(b"something confidential" * 1000)
    raw = Path(f"/proc/self/fd/{spool._handle}").read_bytes()
    assert len(raw) == spool.size
    assert b"confidential" not in raw
    assert b"".join(spool.blocks()) == b"something confidential" * 1000
