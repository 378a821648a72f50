"""The helper as one file: the modules of `target`, packed the same way every time, so that a hash names it."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

TARGET: Final = Path(__file__).parent / "target"
PACKAGE: Final = "actioncenter/connectors/ssh/target"
INSTALLED: Final = "/usr/local/lib/actioncenter/helper"
COMMAND: Final = f"/usr/bin/sudo -n {INSTALLED}"
"""The one command that a certificate allows. Constant: nothing of a request is ever part of it."""
# -I: no variable, folder or user package of the host changes what is imported.
_SHEBANG: Final = b"#!/usr/bin/python3 -I\n"
_MAIN: Final = "import sys\nfrom actioncenter.connectors.ssh.target.main import main\nsys.exit(main())\n"
_LONG_AGO: Final = (2020, 1, 1, 0, 0, 0)


@cache
def helper() -> bytes:
    return pack({path.name: path.read_text(encoding="utf-8") for path in sorted(TARGET.glob("*.py"))})


def pack(modules: Mapping[str, str]) -> bytes:
    """Stored, not compressed, so that an admin can read on the host what runs there."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        folders = [PACKAGE.rsplit("/", up)[0] for up in (1, 2, 3)]
        contents = {f"{folder}/__init__.py": "" for folder in sorted(folders)}
        contents |= {f"{PACKAGE}/{name}": text for name, text in modules.items()}
        for name, text in {**contents, "__main__.py": _MAIN}.items():
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), text)
    return _SHEBANG + out.getvalue()


@cache
def digest() -> str:
    return hashlib.sha256(helper()).hexdigest()
