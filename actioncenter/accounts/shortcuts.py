"""Single keys for people who live in a list: which command each has, for everybody and for one person."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

LONGEST: Final = 2
"""Keys pressed one after the other, written with a space between them."""


class Shortcut(NamedTuple):
    command: str
    keys: str
    does: str


SHORTCUTS: Final = (
    Shortcut("next", "j", "next row"),
    Shortcut("previous", "k", "previous row"),
    Shortcut("open", "o", "open the row, as ↵ does"),
    Shortcut("select", "x", "select the row"),
    Shortcut("approve", "a", "approve what is open"),
    Shortcut("reject", "r", "reject what is open"),
    Shortcut("undo", "u", "undo what is open"),
    Shortcut("comment", "c", "comment"),
    Shortcut("search", "/", "search"),
    Shortcut("pending", "g p", "go to Pending"),
    Shortcut("history", "g h", "go to History"),
    Shortcut("help", "?", "all keys"),
)
USUAL: Final[Mapping[str, str]] = {each.command: each.keys for each in SHORTCUTS}


def bindings(own: Mapping[str, Any]) -> dict[str, str]:
    """The keys of every command, where `own` has what one person changed; what isn't a command is left out."""
    return {command: str(own.get(command, keys)) for command, keys in USUAL.items()}


def faults(wanted: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with the keys of which command; nothing where all of them can be told apart."""
    found: dict[str, str] = {}
    for command, keys in wanted.items():
        parts = keys.split(" ")
        if len(parts) > LONGEST or not all(len(part) == 1 and part.isprintable() for part in parts):
            found[command] = "One key, or two with a space between them."
            continue
        for other, others in wanted.items():
            if other != command and f"{keys} ".startswith(f"{others} "):
                found[command] = f"“{others}” is already taken."
    return found
