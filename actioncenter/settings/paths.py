"""Paths and folder patterns as text (domain §4.2). Nothing is looked up on any disk.

Paths come from outside and are hostile. Whatever could name another folder than it seems to has
no place (None); the caller then asks a person. `broad` matching errs towards a match, for lists
where a match means caution; narrow matching errs towards none, for lists that let something run.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from investigations.enums import OsFamily

LONGEST_PATH = 32_767
LONGEST_PATTERN = 400

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_VERBATIM = re.compile(r"\\[\\?]\?\\(?=[A-Za-z]:\\)")
_WINDOWS = re.compile(r"(?:([A-Za-z]):)?(\\.*)", re.DOTALL)
# Reserved characters (':' is an alternate data stream), 8.3 short names, %variables%, and trailing
# dots and spaces, which Windows drops, so that "Windows." is Windows.
_AMBIGUOUS = re.compile(r'[<>:"|?*]|~\d|%[^%]+%|[. ]$')
_OBJECT_ROOTS = frozenset({"device", "systemroot", "dosdevices", "globalroot"})
_MACOS_ALIASES = frozenset({"etc", "tmp", "var"})


class PatternError(ValueError):
    """A folder pattern that can't be used; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Place:
    """An absolute path. `text` has no drive, no doubled and no trailing separator."""

    text: str
    posix: bool
    drive: str = ""


def normalise_path(raw: str, os_family: OsFamily = OsFamily.UNKNOWN) -> Place | None:
    """Bring a path into its one form, or return None if it is relative, ambiguous or no path at all.

    With the system unknown the shape decides; see `also_on_windows` for the doubt that remains.
    """
    if not raw or len(raw) > LONGEST_PATH or _CONTROL.search(raw):
        return None
    if os_family in {OsFamily.LINUX, OsFamily.MACOS}:
        return _posix_place(raw, os_family)
    if os_family == OsFamily.UNKNOWN and _looks_posix(raw):
        return _posix_place(raw, os_family)
    return _windows_place(raw)


def _looks_posix(raw: str) -> bool:
    return raw.startswith("/") and not raw.startswith("//") and "\\" not in raw


def _windows_place(raw: str) -> Place | None:
    text = _VERBATIM.sub("", raw.replace("/", "\\"), count=1)
    match = _WINDOWS.fullmatch(text)
    if match is None:
        return None
    drive, rest = (match[1] or "").upper(), match[2]
    # Without a drive two separators begin a share or a device, which may well be this disk again.
    if not drive and rest.startswith("\\\\"):
        return None
    segments = [segment for segment in rest.split("\\") if segment]
    if not segments or any(_AMBIGUOUS.search(segment) for segment in segments):
        return None
    if not drive and segments[0].casefold() in _OBJECT_ROOTS:
        return None
    return Place("\\" + "\\".join(segments), posix=False, drive=drive)


def _posix_place(raw: str, os_family: OsFamily) -> Place | None:
    if not raw.startswith("/"):
        return None
    segments = [segment for segment in raw.split("/") if segment]
    # /proc/<pid>/root leads to every other folder.
    if not segments or segments[0] == "proc" or not {".", ".."}.isdisjoint(segments):
        return None
    if os_family != OsFamily.LINUX and segments[0] == "private" and segments[1:2]:
        segments = segments[1:] if segments[1] in _MACOS_ALIASES else segments
    return Place("/" + "/".join(segments), posix=True)


def also_on_windows(raw: str, os_family: OsFamily) -> bool:
    """Whether the path is read as POSIX only by its looks, so that Windows may mean another folder."""
    return os_family == OsFamily.UNKNOWN and _looks_posix(raw)


def fold(text: str, *, posix: bool, broad: bool) -> str:
    """Letters as the file system compares them.

    Narrow: exact on POSIX; on Windows simple upper case, without the Unicode pairs (long s, Kelvin
    sign) that would turn a foreign letter into an ASCII one. Broad: everything that may be equal.
    """
    if broad:
        return text.casefold()
    if posix:
        return text
    if text.isascii():
        return text.upper()
    return "".join(_upper(letter) for letter in text)


def _upper(letter: str) -> str:
    upper = letter.upper()
    return upper if len(upper) == 1 and upper.isascii() == letter.isascii() else letter


def check_pattern(pattern: str) -> None:
    """Raise PatternError unless it starts at the root, names a folder, and can't be read twice."""
    if len(pattern) > LONGEST_PATTERN or _CONTROL.search(pattern):
        raise PatternError(f"A pattern has at most {LONGEST_PATTERN} printable characters.")
    if not pattern.startswith(("\\", "/")) or pattern[1:2] in {"\\", "/"}:
        raise PatternError(r"A pattern starts with one \ (Windows) or / (other systems), without a drive.")
    separator = pattern[0]
    segments = [segment for segment in _one_separator(pattern).split(separator) if segment]
    if all(segment == "*" for segment in segments):
        raise PatternError("A pattern names at least one folder.")
    for segment in segments:
        if segment.count("*") > 1:
            raise PatternError("A folder name has at most one *.")
        if segment in {".", ".."} or (separator == "\\" and _AMBIGUOUS.search(segment.replace("*", "x"))):
            raise PatternError(f"{segment!r} isn't a folder name that can be relied on.")


def _one_separator(pattern: str) -> str:
    return pattern.replace("/", "\\") if pattern.startswith("\\") else pattern


@lru_cache(maxsize=4096)
def _compiled(pattern: str, *, broad: bool) -> re.Pattern[str]:
    check_pattern(pattern)
    posix = pattern.startswith("/")
    separator = re.escape(pattern[0])
    body, tail = _split_tail(_one_separator(pattern), separator, broad=broad)
    inside = "[^/]" if posix else r"[^\\]"
    body = re.escape(fold(body, posix=posix, broad=broad))
    # Places have no empty segments, so "any number" between two separators is at least one.
    return re.compile(body.replace(r"\*", f"{inside}*") + tail, re.DOTALL)


def _split_tail(pattern: str, separator: str, *, broad: bool) -> tuple[str, str]:
    """A bare folder and broad matching include the folder itself, a trailing `\\` or `\\*` only what is below."""
    below = f"{separator}.+"
    itself_or_below = f"(?:{separator}.*)?"
    for ending in (pattern[0] + "*", pattern[0]):
        if pattern.endswith(ending):
            return pattern[: -len(ending)], itself_or_below if broad else below
    if pattern.endswith("*"):
        return pattern[:-1], ".*"
    return pattern, itself_or_below


def first_match(patterns: Iterable[str], place: Place, *, broad: bool) -> str | None:
    """The first pattern that covers the place. Raises PatternError."""
    folded = fold(place.text, posix=place.posix, broad=broad)
    for pattern in patterns:
        if pattern.startswith("/") == place.posix and _compiled(pattern, broad=broad).fullmatch(folded):
            return pattern
    return None


def matched_folder(pattern: str, place: Place) -> str:
    r"""The folder of the place that the pattern names, as written in the path, e.g. `\Windows\`."""
    separator = place.text[0]
    depth = len([part for part in _one_separator(pattern).split(separator) if part])
    if pattern.endswith(separator + "*"):
        depth -= 1
    return separator.join(place.text.split(separator)[: depth + 1]) + separator


def is_inside(place: Place, folder: Place) -> bool:
    """Narrowly: the folder itself or below. A drive, if the folder names one, must be the same."""
    if place.posix != folder.posix or (folder.drive and folder.drive != place.drive):
        return False
    inner = fold(place.text, posix=place.posix, broad=False)
    outer = fold(folder.text, posix=folder.posix, broad=False)
    return inner == outer or inner.startswith(outer + folder.text[0])
