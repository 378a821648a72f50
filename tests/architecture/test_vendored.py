"""Vendored files are byte for byte what their manifest says."""

import base64
import hashlib
import json
from typing import Any

import pytest

from tests.architecture.tree import ROOT, files

VENDOR = ROOT / "static" / "vendor"
MANIFEST: list[dict[str, Any]] = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))[
    "vendored"
]


def sha384(content: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["package"])
def test_package_is_what_was_reviewed(entry: dict[str, Any]) -> None:
    folder = VENDOR / entry["folder"]
    found = {name: sha384((folder / name).read_bytes()) for name in entry["files"]}

    assert found == entry["files"]
    assert entry["version"]
    assert entry["licence"]
    assert entry["npm_integrity"].startswith("sha512-")


def test_no_vendored_file_is_unlisted() -> None:
    listed = {f"{entry['folder']}/{name}" for entry in MANIFEST for name in entry["files"]}
    present = {path.relative_to(VENDOR).as_posix() for path in files(under="static/vendor", vendored=True)}

    assert present - {"manifest.json"} == listed
