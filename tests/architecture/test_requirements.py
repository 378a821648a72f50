"""What is installed is pinned by hash, and no file of the project says from where."""

import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, files, named

LOCKS = [ROOT / "requirements.txt", ROOT / "requirements-dev.txt"]
# Joined here, so that this file doesn't name them either.
HOSTS = [
    ".".join(labels)
    for labels in (
        ("pypi", "org"), ("files", "pythonhosted", "org"), ("registry", "npmjs", "org"), ("registry", "yarnpkg", "com"),
        ("unpkg", "com"), ("cdn", "jsdelivr", "net"), ("cdnjs", "cloudflare", "com"), ("proxy", "golang", "org"),
    )
]  # fmt: skip
HOST = re.compile("|".join(map(re.escape, HOSTS)))
# This checkout's own place, wherever it is; the name after it keeps short places from matching examples.
HERE = re.compile(
    rf"(?<![\w.]){re.escape(str(ROOT))}/(actioncenter|investigations|tests|static|templates|var|\.venv)\b"
)


def pins(path: Path) -> dict[str, str]:
    """Return package -> version with its marker."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([a-z0-9-]+)(?:\[.*\])?==(.*?)\s*\\?$", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize("path", LOCKS, ids=named)
def test_lock_names_no_index_and_every_pin_has_hashes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert "://" not in text
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host", text)
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=\S)", text.strip()))


def test_development_set_holds_the_runtime_set_pin_for_pin() -> None:
    runtime, development = (pins(path) for path in LOCKS)

    assert runtime
    assert runtime.items() <= development.items()


def test_no_file_names_a_package_index_or_a_place_on_one_machine() -> None:
    own = [path for path in files(vendored=True) if path.suffix not in {".woff2", ".png", ".jpg", ".ico"}]
    texts = {named(path): path.read_text(encoding="utf-8", errors="replace") for path in own}

    assert [name for name, text in texts.items() if HOST.search(text)] == []
    assert [name for name, text in texts.items() if "vendor" not in name and HERE.search(text)] == []
