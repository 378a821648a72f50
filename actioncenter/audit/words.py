"""The words of events, as PostgreSQL searches for them. On SQLite the log is looked through in part.

Marks between words become spaces first: PostgreSQL would keep a path or an address whole.
"""

import re
from typing import Final

from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

MARKS: Final = '\\/.:;_@-"{}[](),=&?|<>'
LONGEST: Final = 100_000
"""Characters of an event that count: PostgreSQL refuses to index more than a megabyte of words."""
PREFIX_FROM: Final = 3
"""Letters from which on a word also finds longer ones; shorter beginnings fit too many."""
AT_MOST: Final = 8
"""Words of a search that count."""
_TEXT: Final = (
    "subject || ' ' || subject_name || ' ' || actor_name || ' ' || coalesce(before::text, '')"
    " || ' ' || coalesce(after::text, '') || ' ' || coalesce(detail::text, '')"
)
VECTOR: Final = (
    f"to_tsvector('simple'::regconfig, translate(left({_TEXT}, {LONGEST}), '{MARKS}', '{' ' * len(MARKS)}'))"
)
_WORD: Final = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """What of a search counts; empty where it has no letter and no digit."""
    return list(dict.fromkeys(word.lower() for word in _WORD.findall(text)))[:AT_MOST]


def had(words: list[str]) -> RawSQL:
    """A condition on events, which PostgreSQL answers by working out the words of each."""
    return _found(VECTOR, words)


def indexed(words: list[str]) -> RawSQL:
    """The same on `EventWords`, which it answers from the index."""
    return _found("words", words)


def _found(vector: str, words: list[str]) -> RawSQL:
    query = " & ".join(f"{word}:*" if len(word) >= PREFIX_FROM else word for word in words)
    return RawSQL(f"{vector} @@ to_tsquery('simple', %s)", [query], output_field=BooleanField())  # noqa: S611 - constants


def looked_through(words: list[str]) -> Q:
    """The same without an index, for a part of the log. A word also counts within another."""
    found = Q()
    for word in words:
        found &= Q(canonical__icontains=word)
    return found
