"""What says that the oldest part of the log was dropped by rule: the log begins anew, and still fits together.

The format, complete enough to be written again in another language:

- The text is ASCII: the line `actioncenter-purge 1` and then one entry per field, in the order of FIELDS,
  written as in a seal's text (audit/seals.py). `number` counts the purges from 1.
- `previous` is the digest of the purge before it; of the first, empty. `seal` is the number of the last seal
  that was dropped and `digest` the digest of that seal: the next seal names it as its previous one.
- `events` says how many events were dropped with this purge, `last` the highest id among all that ever were:
  no event at or below it is left. `oldest` is the time of the oldest event that was left: what is older and is
  there all the same was put back.
- `actions` names the actions that went with it by their numbers, as a seal names events.
- `file` is the name of the file they were exported to, `hash` its SHA-256 in hex.
- `heads` is a JSON object: for each stream that goes on, number and chain value of its last dropped event. A
  stream that isn't in it begins with number 1.
- digest and signature are made as those of a seal.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from actioncenter.audit import seals
from actioncenter.audit.canonical import microseconds, moment

HEADER: Final = "actioncenter-purge 1\n"
FIELDS: Final[Mapping[str, str]] = {
    "number": "i", "at": "t", "previous": "s", "seal": "i", "digest": "s", "events": "i", "last": "i", "oldest": "t",
    "actions": "s", "file": "s", "hash": "s", "heads": "j",
}  # fmt: skip
Head = tuple[int, str]


@dataclass(frozen=True, slots=True)
class PurgeText:
    """What a purge says; see the fields above."""

    number: int
    at: datetime
    previous: str
    seal: int
    digest: str
    events: int
    last: int
    oldest: datetime
    actions: Sequence[int]
    file: str
    sha256: str
    heads: Mapping[str, Head]

    def render(self) -> str:
        heads = {stream: list(head) for stream, head in self.heads.items()}
        values = (
            str(self.number), str(microseconds(self.at)), self.previous, str(self.seal), self.digest, str(self.events),
            str(self.last), str(microseconds(self.oldest)), seals.ranges(self.actions), self.file, self.sha256,
            json.dumps(heads, sort_keys=True, separators=(",", ":")),
        )  # fmt: skip
        return seals.written(HEADER, FIELDS, values)

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError: it is no text of a purge."""
        said = seals.entries(HEADER, FIELDS, text)
        try:
            heads = {
                stream: (int(seq), str(chain)) for stream, (seq, chain) in json.loads(said["heads"]).items()
            }
        except (AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"heads are none: {error}") from error
        purge = cls(
            int(said["number"]), moment(int(said["at"])), said["previous"], int(said["seal"]), said["digest"],
            int(said["events"]), int(said["last"]), moment(int(said["oldest"])), list(seals.ids_of(said["actions"])),
            said["file"], said["hash"], heads,
        )  # fmt: skip
        if purge.render() != text:
            raise ValueError("written otherwise than a purge is")
        return purge


def listed(numbers: Sequence[int]) -> str:
    """As the triggers look for one: `,5,7,`."""
    return "".join(f",{number}" for number in numbers) + ","
