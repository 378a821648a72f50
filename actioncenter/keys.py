"""The installation's keys: files that are made on first use. Standard library only.

Each key is a set. `NAME` is the one that is used; beside it may lie `NAME.next`, which everybody knows
already and nobody uses yet, `NAME.old.ID`, which only reads, and `NAME.retired.ID`, which only vouches for
what was made before it was retired. Every step is one rename or link, so a crash leaves a set that works.
"""

import base64
import hmac
import os
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What each file holds. The signing key is a raw Ed25519 private key, for which any 32 bytes will do.
MAKERS: dict[str, Callable[[], bytes]] = {
    "secret.key": lambda: secrets.token_urlsafe(64).encode(),
    "field.key": lambda: base64.urlsafe_b64encode(os.urandom(32)),
    "audit.key": lambda: os.urandom(32),
    "signing.key": lambda: os.urandom(32),
    # Of the links that lead to the click page.
    "click.key": lambda: os.urandom(32),
    # Only where hosts are enrolled over SSH: the seed of the authority that signs for them.
    "ssh.key": lambda: os.urandom(32),
}
ALWAYS = ("secret.key", "field.key", "audit.key", "signing.key", "click.key")
"""Those that every installation has."""
Stamp = tuple[tuple[str, int, int], ...]
NEXT, OLD, RETIRED = ".next", ".old.", ".retired."


@dataclass(frozen=True, slots=True)
class Ring:
    """A key with what goes before and after it."""

    current: bytes
    coming: bytes | None = None
    old: tuple[bytes, ...] = ()
    retired: tuple[bytes, ...] = ()
    """Of the signing key its public half."""

    @property
    def others(self) -> list[bytes]:
        """Whatever else may have been used, here or by a host that went on already."""
        return [*([self.coming] if self.coming else []), *self.old]


def ring(folder: Path, name: str) -> Ring:
    """Raises as `load`."""
    coming = folder / f"{name}{NEXT}"
    current = load(folder, name)
    old = tuple(key for key in _beside(folder, name + OLD) if key != current)
    return Ring(
        current, _read(coming) if coming.exists() else None, old, tuple(_beside(folder, name + RETIRED))
    )


def as_settings(folder: Path) -> dict[str, Any]:
    """What the settings hold of the keys, and of which state of the folder that is. Raises as `load`."""
    for name in ALWAYS:
        load(folder, name)
    # Before they are read: what changes meanwhile is seen at the next look.
    seen = stamp(folder)
    secret, field, audit, signing, click = (ring(folder, name) for name in ALWAYS)
    return {
        "SECRET_KEY": secret.current.decode(),
        "SECRET_KEY_FALLBACKS": [key.decode() for key in secret.others],
        "FIELD_KEY": field.current,
        "FIELD_KEY_FALLBACKS": field.others,
        "AUDIT_KEY": audit.current,
        "AUDIT_KEY_FALLBACKS": audit.others,
        "AUDIT_KEYS_RETIRED": list(audit.retired),
        "SIGNING_KEY": signing.current,
        "SIGNING_KEY_FALLBACKS": signing.others,
        "SIGNING_KEYS_RETIRED": list(signing.retired),
        "CLICK_KEY": click.current,
        "CLICK_KEY_FALLBACKS": click.others,
        "KEYS_SEEN": seen,
    }


def stamp(folder: Path) -> Stamp:
    """Changes with whatever is made, renamed, deleted or, as `scp` does it, written over there."""
    files = ((path.name, path.stat()) for path in folder.iterdir())
    return tuple(sorted((name, file.st_ino, file.st_ctime_ns) for name, file in files))


def fingerprint(name: str, key: bytes) -> str:
    """Tells whether two keys are the same, and nothing else. The id of every key but the signing key."""
    return hmac.digest(key, f"actioncenter fingerprint {name}".encode(), "sha256")[:8].hex()


def stage(folder: Path, name: str) -> None:
    """Make the next key, unless it is there. Raises OSError."""
    if not (folder / f"{name}{NEXT}").exists():
        _make(folder / f"{name}{NEXT}", MAKERS[name])


def switch(folder: Path, name: str, old: str) -> None:
    """Use the next key; `old` is the id under which the one before is kept. Raises OSError."""
    with suppress(FileExistsError):
        os.link(folder / name, folder / f"{name}{OLD}{old}")
    (folder / f"{name}{NEXT}").replace(folder / name)
    _sync(folder)


def retire(folder: Path, name: str, old: str, *, keep: bytes | None) -> None:
    """Forget an old key, or keep it (or its public half) to vouch for what it made. Raises OSError."""
    if keep is not None and not (folder / f"{name}{RETIRED}{old}").exists():
        _make(folder / f"{name}{RETIRED}{old}", lambda: keep)
    (folder / f"{name}{OLD}{old}").unlink(missing_ok=True)
    _sync(folder)


def _beside(folder: Path, start: str) -> list[bytes]:
    return [_read(path) for path in sorted(folder.glob(f"{start}*"))]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(folder: Path, name: str) -> bytes:
    """Return the key of that name; make it when it is missing. Raises OSError when neither works."""
    path = folder / name
    if not path.exists():
        _make(path, MAKERS[name])
    return _read(path)


def _read(path: Path) -> bytes:
    content = path.read_bytes()
    if not content:
        raise OSError(f"{path} is empty. Restore it from your backup; a new key can't read old data.")
    return content


def _make(path: Path, maker: Callable[[], bytes]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes it readable for the owner alone.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(maker())
        stream.flush()
        os.fsync(stream.fileno())
    try:
        # A link fails when another process was faster; then its key counts.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
