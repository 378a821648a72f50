"""The demo's own documents, moved in time so that they happened just now."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from investigations.intake.documents import Document
from investigations.intake.recognise import Item, read

FOLDER: Final = Path(__file__).parent / "documents"
WRITTEN: Final = datetime(2026, 11, 23, 14, tzinfo=UTC)
"""The moment at which the documents take place."""
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")

Raw = dict[str, Any]


def raw_documents(now: datetime) -> list[Raw]:
    """In the order of their file names: the inventory comes first. The same moment gives the same documents."""
    shift = now.replace(microsecond=0) - WRITTEN
    replaced = partial(_MOMENT.sub, lambda found: _moved(found[0], shift))
    return [json.loads(replaced(path.read_text("utf-8"))) for path in sorted(FOLDER.glob("*.json"))]


def _moved(moment: str, shift: timedelta) -> str:
    return f"{datetime.fromisoformat(moment) + shift:%Y-%m-%dT%H:%M:%SZ}"


def documents(raw: Raw) -> Iterator[Document]:
    """Through the same door as anybody's documents. Raises ValueError for one that is refused."""
    for item in read(BytesIO(json.dumps(raw).encode())):
        if not isinstance(item, Item):
            raise ValueError(f"{item.field}: {item.reason}")
        yield item.document
