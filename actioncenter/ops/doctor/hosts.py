"""Checks of the hosts: keys, clocks, versions, disks."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.conf import settings

from actioncenter import keys
from actioncenter.ops.doctor.finding import Finding, error, info, warning
from actioncenter.settings import describing

SKEW: Final = 2.0
LITTLE, HARDLY_ANY = 500 * 2**20, 100 * 2**20
"""Bytes."""
LET_WRITE: Final = "Give it to the product's user; a service needs it in ReadWritePaths too (docs/operator/hosts.md, Services)."


def key_files() -> Iterator[Finding]:
    for name in keys.ALWAYS:
        path = Path(settings.KEYS_DIR) / name
        if not path.is_file():
            yield error(
                "keys.missing", f"{path} is missing", "A new one would be made at the next start, which can't read what the old one wrote.",
                "Restore it from your backup of the keys.",
            )  # fmt: skip
    for path in sorted(Path(settings.KEYS_DIR).glob("*.key*")):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield error(
                "keys.readable", f"{path} can be read by others", "Whoever reads the keys can forge history and sessions.",
                f"chmod 600 {path}",
            )  # fmt: skip


def same_keys() -> Iterator[Finding]:
    rows = [(str(row), describing.differing_of(row)) for row in describing.heard_of()]
    for name, other in [("this command", describing.differing()), *rows]:
        if other:
            yield error(
                "keys.differ", f"{name[:1].upper()}{name[1:]} has other keys than the installation: {', '.join(other)}",
                "It can't verify or decrypt what the others write, and dispatches nothing.",
                "Copy the right keys there and restart it; if these are the right ones, `manage.py hosts --accept-keys`.",
            )  # fmt: skip


def rotations() -> Iterator[Finding]:
    """What was begun and not ended. Old keys of links are kept as long as the links lie in mailboxes."""
    for name in keys.ALWAYS:
        ring = keys.ring(Path(settings.KEYS_DIR), name)
        if ring.coming or (ring.old and name != "click.key"):
            what = (
                "has a next key that is not used yet" if ring.coming else "has an old key that still counts"
            )
            yield info(
                "keys.unfinished", f"{name} {what}", "Its rotation was begun and not ended.",
                "`manage.py keys list`, then `keys rotate` or `keys retire`.",
            )  # fmt: skip


def clocks() -> Iterator[Finding]:
    rows = [(str(row), row.skew) for row in describing.heard_of() if row.skew is not None]
    for name, skew in [("this machine", describing.clock_skew()), *rows]:
        if abs(skew) > SKEW:
            yield warning(
                "clock.skew", f"The clock of {name} is {skew:+.1f} s off the database's",
                "Deadlines are the database's, but pages, logs and mail show wrong times.", "Run a time service on every host.",
            )  # fmt: skip


def versions() -> Iterator[Finding]:
    found = {row.version for row in describing.heard_of()}
    if len(found) > 1:
        yield warning(
            "version.mixed", f"Several versions run side by side: {', '.join(sorted(found))}",
            "Fine during an update, and not for long.", "Finish the update.",
        )  # fmt: skip


def disk() -> Iterator[Finding]:
    for folder in {Path(settings.DATA_DIR), Path(settings.ANCHOR_DIR)}:
        if not folder.exists():
            continue
        free = shutil.disk_usage(folder).free
        if free < LITTLE:
            make = error if free < HARDLY_ANY else warning
            yield make(
                "disk.low", f"{free // 2**20} MiB are free for {folder}", "When it is full nothing is decided, sent or recorded.",
                "Make room.",
            )  # fmt: skip
        if not os.access(folder, os.W_OK):
            yield error(
                "disk.readonly",
                f"{folder} can't be written",
                "Nothing is sent without an anchor.",
                "Give the product its folder.",
            )
    for folder, lost in _kept().items():
        if not os.access(_existing(folder), os.W_OK):
            yield error("disk.readonly", f"{folder} can't be written here", lost, LET_WRITE)


def _kept() -> dict[Path, str]:
    """Folders that are made at the first use, and what can't be kept without them."""
    return {
        Path(settings.MEDIA_ROOT): "What a connector brings back is lost, and its action becomes unknown.",
        Path(settings.SNAPSHOTS_DIR): "What was open when everything was stopped is not sealed.",
        Path(settings.CHECKPOINTS_DIR): "Seals of the audit log have no copy outside of the database.",
        Path(settings.ARCHIVE_DIR): "Retention can't take anything out of the audit log.",
    }


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
