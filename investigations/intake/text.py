"""The one cleaning function for text from outside (threat 42).

A database refuses NUL, and a lone surrogate can't be written as UTF-8, so both are replaced by
visible marks. Other control characters stay: the pages make them visible.
"""

import re
from typing import NamedTuple

NAME_CAP = 512
SUBJECT_CAP = 2_000
PATH_CAP = 4_096
URL_CAP = 8_192
DESCRIPTION_CAP = 16_000
FREE_CAP = 32 * 1024

_SURROGATE = re.compile("[\ud800-\udfff]")


class Cleaned(NamedTuple):
    """`altered` says that the text no longer equals what the source sent."""

    text: str
    altered: bool


def clean_text(value: str, cap: int = FREE_CAP) -> Cleaned:
    """Replace NUL by U+2400 and lone surrogates by U+FFFD, then cut to `cap` characters."""
    text = _SURROGATE.sub("\ufffd", value.replace("\x00", "\u2400"))[:cap]
    return Cleaned(text, text != value)
