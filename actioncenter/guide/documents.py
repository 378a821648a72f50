"""The documents of `docs/` as pages of the product."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

from django.conf import settings
from django.urls import reverse

from actioncenter.guide.markdown import Document, read

INDEX: Final = "README"
NOT_SHOWN: Final = frozenset({"adr"})
"""For those who change the code."""


@lru_cache(maxsize=1)
def names() -> Mapping[str, Path]:
    """Such as `operator/keys`, with its file; nothing else can be asked for."""
    root = Path(settings.BASE_DIR) / "docs"
    found = sorted(path for path in root.rglob("*.md") if path.relative_to(root).parts[0] not in NOT_SHOWN)
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in found}


@lru_cache(maxsize=64)
def document(name: str) -> Document | None:
    path = names().get(name)
    return read(path.read_text(encoding="utf-8"), lambda to: _address(name, to)) if path else None


def address_of(place: str) -> str:
    """Of a place such as `analyst#undo`."""
    name, _, anchor = place.partition("#")
    page = reverse("guide:index") if name == INDEX else reverse("guide:document", args=[name])
    return f"{page}#{anchor}" if anchor else page


def _address(name: str, to: str) -> str:
    """Where a link of that document leads; empty for what is no page here."""
    if to.startswith(("#", "https://")):
        return to
    target, _, anchor = to.partition("#")
    other = _beside(PurePosixPath(name).parent, target).removesuffix(".md")
    if not target.endswith(".md") or other not in names():
        return ""
    return address_of(f"{other}#{anchor}" if anchor else other)


def _beside(folder: PurePosixPath, target: str) -> str:
    parts: list[str] = []
    for part in (folder / target).parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
