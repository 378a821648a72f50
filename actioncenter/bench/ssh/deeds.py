"""What is done to hosts, and what each is told."""

from dataclasses import dataclass
from typing import Final

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType as T
from actioncenter.connectors.base import Json
from actioncenter.estate.lab import PEER

TOOL: Final = "/home/ana/Downloads/tool.bin"
TOOL_BYTES: Final = 44_000
SAMPLE: Final = "/home/ana/Downloads/sample.bin"
SAMPLE_BYTES: Final = 10 << 20


@dataclass(frozen=True, slots=True)
class Deed:
    name: str
    type: T
    path: str = ""

    @property
    def code(self) -> str:
        return CATALOGUE[self.type].code

    def facts(self, host: str, sha256: str) -> Json:
        if self.type is T.CONTAIN_DEVICE:
            return {"name": "peer", "addresses": list(PEER)}
        return {"path": self.path, "sha256": sha256} if self.path else {"name": host}


PAIRS: Final = (
    (Deed("isolate", T.ISOLATE_DEVICE), Deed("release from isolation", T.RELEASE_DEVICE)),
    (Deed("contain a peer", T.CONTAIN_DEVICE), Deed("release from containment", T.RELEASE_CONTAINMENT)),
    (Deed("restrict execution", T.RESTRICT_EXECUTION), Deed("release execution", T.RELEASE_EXECUTION)),
    (Deed("stop and quarantine (44 kB)", T.QUARANTINE_FILE, TOOL),
     Deed("release from quarantine", T.RELEASE_FILE, TOOL)),
)  # fmt: skip
"""Each with what takes it back."""
BRINGING: Final = (
    Deed("request sample (10 MiB)", T.REQUEST_SAMPLE, SAMPLE),
    Deed("collect package", T.COLLECT_PACKAGE),
    Deed("offboard", T.OFFBOARD_DEVICE),
)
"""Once each: nothing of it is taken back, or it takes a minute."""
