"""Helpers with a mistake in them, installed where the right one was, so that a test shows it can fail."""

import contextlib
import hashlib
from collections.abc import Iterator
from unittest import mock

from actioncenter.connectors.ssh import packing
from actioncenter.estate.lab import LabHost
from tests.connectors.ssh.fleet import Fleet


@contextlib.contextmanager
def planted(fleet: Fleet, host: LabHost, module: str, right: str, wrong: str) -> Iterator[None]:
    modules = {path.name: path.read_text(encoding="utf-8") for path in packing.TARGET.glob("*.py")}
    assert right in modules[module]
    modules[module] = modules[module].replace(right, wrong)
    broken = packing.pack(modules)
    fleet.file(host, packing.INSTALLED).write_bytes(broken)
    with mock.patch.object(packing, "digest", return_value=hashlib.sha256(broken).hexdigest()):
        yield
