"""Text in evidence that wants to be obeyed: it claims authority over a decision, or haste.

Policy never reads such text, so it decides nothing. What is found here only makes a person look at an
action that would have run by itself. Lures that press the reader of a mail are no such claim: the words
have to speak of deciding or carrying out.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

LONGEST: Final = 20_000
"""Characters that are looked at."""
SHOWN: Final = 120
_DO = r"(?:approv\w+|authori[sz]\w+|isolat\w+|quarantin\w+|remediat\w+|releas\w+|delet\w+|execut\w+|restor\w+|allow\w*|whitelist\w*|block\w*|offboard\w*)"
_DECISION = r"(?:approvals?|reviews?|confirmations?|verdicts?|polic(?:y|ies)|exclusions?|safeguards?|second person|four.eyes)"
_HASTE = r"(?:immediately|urgent(?:ly)?|right now|at once|asap|without delay|do(?: not|n.t) wait|straight away|this instant)"
_WHO = r"(?:ciso|ceo|cio|soc|analyst|admin(?:istrator)?s?|management|security team|incident commander|manager|responders?)"
PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:pre.?)?(?:approved|authori[sz]ed|cleared|sanctioned|signed off|ordered|requested) (?:by|from) (?:\w+ ){{0,4}}{_WHO}\b",
        rf"\b{_WHO}\b.{{0,20}}\b(?:has|have|had|already)\b.{{0,20}}\b(?:approved|authori[sz]ed|cleared|signed off)\b",
        rf"\b(?:no|without|skip|bypass|waive|needs? no|forgo)\b.{{0,30}}\b{_DECISION}\b",
        rf"\b(?:ignore|disregard|override|overrule|forget)\b.{{0,40}}\b(?:instructions?|rules?|alerts?|{_DECISION})\b",
        rf"\b{_HASTE}\b.{{0,40}}\b{_DO}\b",
        rf"\b{_DO}\b.{{0,40}}\b{_HASTE}\b",
        rf"\b(?:as|on behalf of|in the name of)\b (?:the )?{_WHO}\b.{{0,40}}\b{_DO}\b",
        r"\byou (?:are|have been) (?:hereby )?(?:authori[sz]ed|instructed|ordered)\b",
    )
)


def claim_in(text: str) -> str:
    """What it claims, cut; empty where it claims nothing. File names write words in many ways."""
    spoken = re.sub(r"[_\-.+/\\\s]+", " ", text[:LONGEST])
    found = next((match for pattern in PATTERNS if (match := pattern.search(spoken))), None)
    return found.group()[:SHOWN] if found else ""


def texts_of(value: Any) -> Iterator[str]:
    """Every text in it, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_of(item)
