"""What receivers of the stream get: seals and events as lines of JSON, events also in RFC 5424.

Everything from outside is escaped twice over: JSON is ASCII, so no character steers a terminal or a parser,
and what stands in structured data has no control characters.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from actioncenter.audit.copies import Copy
from actioncenter.audit.models import Event, Seal

AUDIT_FACILITY: Final = 13
ERROR, WARNING, INFO = 3, 4, 6
ENTERPRISE: Final = 32473
"""The number that RFC 5612 sets aside for examples: the product has none of its own."""
MOST_BYTES: Final = {"syslog+udp": 8_192}
MOST_BYTES_ELSE: Final = 65_536
PARAM_MOST: Final = 512
"""Bytes of a value in structured data."""
CUT: Final = "cut"
LONG: Final = ("before", "after", "detail")
BAD: Final = frozenset(
    {"failed", "timed_out", "refused", "sign_in_failed", "undelivered", "access", "broken"}
)
UNCLEAR: Final = frozenset({"unknown", "partly_succeeded"})
_NOT_PLAIN: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_NOT_ASCII: Final = re.compile(r"[^\x21-\x7e]")


def seal_line(seal: Seal) -> str:
    """As it stands in a file of copies: `audit verify --against` reads a file of such lines."""
    return Copy.of(seal).line()


def event_line(number: int, event: Event, *, most: int = MOST_BYTES_ELSE) -> str:
    """One JSON object and a line feed; without what is long where it would have more bytes than `most`."""
    said: dict[str, Any] = {
        "event": event.pk, "seal": number, "stream": event.stream, "seq": event.seq,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "kind": event.kind, "outcome": outcome(event.kind), "actor": event.actor, "actor_name": event.actor_name,
        "via": event.actor_via, "subject": event.subject, "subject_name": event.subject_name,
        "request_id": event.request_id, "chain": event.chain,
        "before": event.before, "after": event.after, "detail": event.detail,
    }  # fmt: skip
    line = _json(said)
    if len(line) > most:
        line = _json({**{name: _short(value) for name, value in said.items() if name not in LONG}, CUT: True})
    return line


def outcome(kind: str) -> str:
    """`failure`, `unknown` or `success`, by the last word of a kind."""
    last = kind.rpartition(".")[2]
    return "failure" if last in BAD else "unknown" if last in UNCLEAR else "success"


def syslog_event(number: int, event: Event, *, host: str, most: int) -> bytes:
    """RFC 5424. The message is the JSON line, in ASCII, so it needs no byte order mark."""
    result = outcome(event.kind)
    data = {
        "id": event.pk, "seal": number, "kind": event.kind, "outcome": result, "actor": event.actor,
        "actorName": event.actor_name, "subject": event.subject, "subjectName": event.subject_name,
    }  # fmt: skip
    severity = WARNING if result != "success" else INFO
    at = event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    head = _head(severity, at, host, event.kind) + _structured("event", data)
    room = most - len(head) - 1
    return head + b" " + event_line(number, event, most=room).rstrip("\n").encode()


def syslog_seal(seal: Seal, *, host: str) -> bytes:
    at = seal.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    data = {"number": seal.number, "digest": seal.digest, "key": seal.key_id}
    return (
        _head(INFO, at, host, "seal")
        + _structured("seal", data)
        + b" "
        + seal_line(seal).rstrip("\n").encode()
    )


def _head(severity: int, at: str, host: str, kind: str) -> bytes:
    words = (at, _word(host, 255), "actioncenter", "-", _word(kind, 32))
    return f"<{AUDIT_FACILITY * 8 + severity}>1 {' '.join(words)} ".encode("ascii")


def _word(text: str, most: int) -> str:
    """PRINTUSASCII, or `-` for nothing."""
    return _NOT_ASCII.sub("_", text)[:most] or "-"


def _structured(name: str, data: Mapping[str, object]) -> bytes:
    values = "".join(f' {key}="{_quoted(str(value))}"' for key, value in data.items())
    return f"[{name}@{ENTERPRISE}{values}]".encode()


def _quoted(text: str) -> str:
    """Control, direction and invisible characters as `\\u202e`; then `"`, `\\` and `]` with a backslash."""
    plain = _NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    plain = plain.encode()[:PARAM_MOST].decode(errors="ignore")
    return re.sub(r'(["\\\]])', r"\\\1", plain)


def _short(value: Any) -> Any:
    return value[:80] if isinstance(value, str) else value


def _json(said: Mapping[str, Any]) -> str:
    return json.dumps(said, sort_keys=True, separators=(",", ":")) + "\n"
