"""What auditors are told of the log in docs/auditor.md is all that can be in it."""

import re
from collections.abc import Iterator

import pytest
from django.conf import settings

from actioncenter.audit.enums import Kind


def told() -> Iterator[str]:
    """Kinds, or `area.` for all of one, as the first column of the table names them."""
    text = (settings.BASE_DIR / "docs/auditor.md").read_text(encoding="utf-8")
    for row in re.findall(r"^\| (`[a-z_]+\.[^|]*) \|", text, flags=re.MULTILINE):
        area = ""
        for name in re.findall(r"`([^`]*)`", row):
            area, _, rest = name.rpartition(".") if not name.startswith(".") else (area, "", name[1:])
            yield f"{area}." if rest == "…" else f"{area}.{rest}"


@pytest.mark.parametrize("kind", Kind, ids=str)
def test_every_kind_is_explained(kind: Kind) -> None:
    assert any(kind == name or (name.endswith(".") and kind.startswith(name)) for name in told())


def test_nothing_is_explained_that_there_is_not() -> None:
    assert [name for name in told() if not any(kind.startswith(name) for kind in Kind)] == []
