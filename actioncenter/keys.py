"""The installation's four keys: files that are made on first use and never replaced. Standard library only."""

import base64
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

# What each file holds. The signing key is a raw Ed25519 private key, for which any 32 bytes will do.
MAKERS: dict[str, Callable[[], bytes]] = {
    "secret.key": lambda: secrets.token_urlsafe(64).encode(),
    "field.key": lambda: base64.urlsafe_b64encode(os.urandom(32)),
    "audit.key": lambda: os.urandom(32),
    "signing.key": lambda: os.urandom(32),
}


def load(folder: Path, name: str) -> bytes:
    """Return the key of that name; make it when it is missing. Raises OSError when neither works."""
    path = folder / name
    if not path.exists():
        _make(path)
    content = path.read_bytes()
    if not content:
        raise OSError(f"{path} is empty. Restore it from your backup; a new key can't read old data.")
    return content


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes it readable for the owner alone.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(MAKERS[path.name]())
        stream.flush()
        os.fsync(stream.fileno())
    try:
        # A link fails when another process was faster; then its key counts.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
