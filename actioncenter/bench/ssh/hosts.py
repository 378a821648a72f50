"""Hosts of a lab that were enrolled, and what the connector does to some of them at once."""

import hashlib
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from actioncenter.actions.catalogue import CATALOGUE, clean_parameters
from actioncenter.actions.enums import ActionType
from actioncenter.bench.mail import Unheard
from actioncenter.bench.ssh.deeds import SAMPLE, SAMPLE_BYTES, TOOL, TOOL_BYTES, Deed
from actioncenter.connectors.base import Continue, Json, Outcome, Request, Result, Target
from actioncenter.connectors.ssh import build, enrolling
from actioncenter.connectors.ssh.authority import Authority
from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.estate.lab import CONTROLLER, Lab

USER: Final = "actioncenter"
KIB: Final = 1024
RESET_PEAK: Final = "5"
"""What Linux takes for: forget the highest memory of this process so far."""


class Took(NamedTuple):
    """Seconds, what each host needs to take it back, and MiB that we took at the highest."""

    seconds: float
    kept: dict[int, Json]
    grown: float


@dataclass
class Hosts:
    lab: Lab
    authority: Authority
    connector: SshHosts
    pins: list[str]
    hashes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def enrolled(cls, lab: Lab) -> Self:
        seed = secrets.token_hex(32)
        settings = {"controllers": list(CONTROLLER), "namespace": lab.management}
        made = cls(lab, Authority(seed), build(settings, {"authority": seed}), [""] * len(lab.hosts))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(made.enrol, range(len(lab.hosts))))
        for path, size in ((TOOL, TOOL_BYTES), (SAMPLE, SAMPLE_BYTES)):
            content = secrets.token_bytes(size)
            made.hashes[path] = hashlib.sha256(content).hexdigest()
            for host in lab.hosts:
                Path(f"{host.root}{path}").write_bytes(content)
        return made

    def enrol(self, place: int) -> None:
        host = self.lab.hosts[place]
        pin = enrolling.shown_key(host.address, 22, self.lab.management)
        way = enrolling.Way("root", str(self.lab.admin_key), self.lab.management)
        enrolling.enrol(pin, way, USER, self.authority)
        self.pins[place] = str(pin)

    def request(self, deed: Deed, places: Sequence[int], before: Mapping[int, Json]) -> Request:
        targets = [
            Target(
                f"t{place}",
                CATALOGUE[deed.type].kind,
                self.pins[place],
                deed.facts(self.lab.hosts[place].name, self.hashes.get(deed.path, "")),
                before=before.get(place, {}),
            )
            for place in places
        ]
        return Request(str(uuid.uuid4()), deed.type, targets, clean_parameters(deed.type, {}))

    def carry_out(self, deed: Deed, places: Sequence[int], before: Mapping[int, Json]) -> Took:
        request = self.request(deed, places, before)
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
        memory, began = _memory("VmRSS"), time.monotonic()
        results = _finished(self.connector, request)
        seconds, grown = time.monotonic() - began, (_memory("VmHWM") - memory) / KIB
        wrong = [
            f"{key}: {result.error}"
            for key, result in results.items()
            if result.outcome is not Outcome.SUCCEEDED
        ]
        if wrong or len(results) != len(places):
            raise RuntimeError(f"{deed.name} failed on {len(wrong)} hosts: {'; '.join(wrong[:3])}")
        kept = {int(key[1:]): dict(result.before) for key, result in results.items()}
        return Took(seconds, kept, max(0.0, grown))

    def kept(self, request: Request) -> dict[int, Json]:
        """What each host's journal says is needed to take it back."""
        found = self.connector.lookup(request)
        return {int(result.key[1:]): dict(result.before) for result in found.results} if found else {}

    def isolated(self) -> int:
        """Of how many hosts the isolation is read back as in force."""
        places = range(len(self.pins))
        request = self.request(Deed("isolate", ActionType.ISOLATE_DEVICE), places, {})
        return sum(bool(each) for each in self.connector.verify(request).in_force.values())


def _finished(connector: SshHosts, request: Request) -> dict[str, Result]:
    """As a runner does: what is brought is taken in block by block, and what is asked to be waited for is."""
    results: dict[str, Result] = {}
    cursor: Json | None = None
    while True:
        answer: Any = connector.step(request, cursor, Unheard())
        results |= {result.key: result for result in answer.results}
        for artefact in answer.artefacts:
            for _ in artefact.blocks():
                pass
        if not isinstance(answer, Continue):
            return results
        cursor = answer.cursor
        time.sleep(answer.wait)


def _memory(name: str) -> int:
    """KiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
