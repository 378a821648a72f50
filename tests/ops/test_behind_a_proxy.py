"""Whose address counts: the proxy's word is taken only from a proxy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actioncenter import environment
from tests.architecture.tree import ROOT

ASK = """
import sys
from types import SimpleNamespace
from actioncenter.audit import triggers
triggers.require = lambda: None
sys.modules["actioncenter.ops.presence"] = SimpleNamespace(begin=lambda: None)
from django.core import wsgi
wsgi.get_wsgi_application = lambda: lambda scope, start: [scope["REMOTE_ADDR"].encode()]
from actioncenter.wsgi import application
scope = {"REMOTE_ADDR": sys.argv[1], "HTTP_X_FORWARDED_FOR": sys.argv[2]}
print(application(scope, None)[0].decode())
"""


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "believed"),
    [
        ("10.0.0.0/24", "10.0.0.9", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.0/24", "10.0.0.9", "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.9", "192.0.2.7", "203.0.113.5", "192.0.2.7"),
        ("", "10.0.0.9", "203.0.113.5", "10.0.0.9"),
    ],
    ids=["the proxy says", "a client adds to it", "a client says", "no proxy is set"],
)
def test_whose_address_counts(proxies: str, peer: str, forwarded: str, believed: str, tmp_path: Path) -> None:
    environ = {**os.environ, "ACTIONCENTER_PROXIES": proxies, "ACTIONCENTER_DATA": str(tmp_path)}
    environ.pop("ACTIONCENTER_DATABASE_URL", None)
    command = [sys.executable, "-c", ASK, peer, forwarded]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == believed


@pytest.mark.parametrize("value", ["*", "proxy.example", "10.0.0.0/99", "10.0.0.1/24"])
def test_only_addresses_are_proxies(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_PROXIES", value)
    with pytest.raises(environment.BadSetting, match="ACTIONCENTER_PROXIES"):
        environment.networks("ACTIONCENTER_PROXIES")
