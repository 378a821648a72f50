"""ansible-core as a peer: the same helper gets the same requests from its module `command`. It lives in a virtual
environment that the benchmark makes and that goes with it; the product needs none of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actioncenter.bench.ssh.deeds import Deed
from actioncenter.bench.ssh.hosts import Hosts, Took
from actioncenter.connectors.base import Json
from actioncenter.connectors.ssh import packing
from actioncenter.connectors.ssh.verbs import VERBS, item

VERSION: Final = "ansible-core==2.19.14"
SECONDS: Final = 30
_ANEW: Final = {"ansible_ssh_args": "-o ControlMaster=no -o ControlPath=none"}
"""Only a new connection proves that we still get through."""


def _asking(name: str, until: str) -> Json:
    """A task that gives the helper the request of that name, and has failed unless the answer holds those words."""
    words = {"argv": [packing.INSTALLED], "stdin": f"{{{{ {name}[inventory_hostname] | to_json }}}}"}
    wrong = f"told.rc != 0 or {until!r} not in told.stdout"
    return {"ansible.builtin.command": words, "register": "told", "failed_when": wrong}


def _play() -> str:
    """JSON is YAML as well."""
    apply = _asking("asked", '"outcome": "succeeded"')
    confirm = {**_asking("confirmed", '"confirmed": true'), "vars": _ANEW, "when": "confirmed | length > 0"}
    return json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [apply, confirm]}])


@dataclass(frozen=True, slots=True)
class Ansible:
    hosts: Hosts
    folder: Path
    program: Path

    def carry_out(self, deed: Deed, places: Sequence[int], before: Mapping[int, Json]) -> Took:
        """As `Hosts.carry_out`; its memory isn't ours. Neither writing the requests nor looking up what is kept is timed."""
        request = self.hosts.request(deed, places, before)
        names = {place: self.hosts.lab.hosts[place].name for place in places}
        asked = {
            names[place]: self._call("apply", request.id, [item(request, target)])
            for place, target in zip(places, request.targets, strict=True)
        }
        confirmed = (
            {name: self._call("confirm", request.id, []) for name in asked}
            if VERBS[deed.type].confirmed
            else {}
        )
        told = {"asked": asked, "confirmed": confirmed}
        (self.folder / "told.json").write_text(json.dumps(told), encoding="utf-8")
        command = ["ip", "netns", "exec", self.hosts.lab.management, str(self.program), "-i", "hosts.ini"]
        command += ["--limit", ",".join(names.values()), "-e", "@told.json", "play.yml"]
        began = time.monotonic()
        done = subprocess.run(  # noqa: S603
            command, cwd=self.folder, env=_environment(self), capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - began
        if done.returncode:
            raise RuntimeError(
                f"{deed.name} failed through ansible:\n{done.stdout[-2000:]}{done.stderr[-1000:]}"
            )
        return Took(seconds, self.hosts.kept(request), 0.0)

    def _call(self, call: str, request: str, items: Sequence[Json]) -> Json:
        body = self.hosts.connector.body(call, request, items)
        return {**body, "nonce": "bench", "helper": packing.digest(), "seconds": SECONDS}


def prepared(hosts: Hosts, folder: Path) -> tuple[Ansible | None, str]:
    """Or why there is none."""
    home = folder / "ansible"
    try:
        for command in (
            [sys.executable, "-m", "venv", str(home)],
            [str(home / "bin/pip"), "install", "-q", "--disable-pip-version-check", VERSION],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        return None, f"{VERSION} can't be installed here ({said[-1][:200] if said else 'no reason given'})."
    (folder / "home").mkdir()
    _written(hosts, folder)
    return Ansible(hosts, folder, home / "bin/ansible-playbook"), ""


def _written(hosts: Hosts, folder: Path) -> None:
    """Everything that it reads: who is there, by which key, and what to do."""
    lab = hosts.lab
    inventory = "\n".join(f"{host.name} ansible_host={host.address}" for host in lab.hosts)
    known = "\n".join(f"{host.address} {' '.join(host.key.split()[:2])}" for host in lab.hosts)
    (folder / "hosts.ini").write_text(inventory + "\n", encoding="utf-8")
    (folder / "known_hosts").write_text(known + "\n", encoding="utf-8")
    (folder / "play.yml").write_text(_play(), encoding="utf-8")
    config = [
        "[defaults]",
        f"forks = {len(lab.hosts)}",
        "remote_user = root",
        f"private_key_file = {lab.admin_key}",
        "interpreter_python = /usr/bin/python3",
        "[connection]",
        "pipelining = True",
        "[ssh_connection]",
        f"ssh_common_args = -o UserKnownHostsFile={folder / 'known_hosts'} -o StrictHostKeyChecking=yes",
        # Short, because a socket has to fit; what listens there ends with the lab.
        f"control_path_dir = {lab.folder / 'cp'}",
    ]
    (folder / "ansible.cfg").write_text("\n".join(config) + "\n", encoding="utf-8")


def _environment(of: Ansible) -> dict[str, str]:
    return {
        "PATH": f"{of.program.parent}:{os.environ.get('PATH', '/usr/bin:/bin:/usr/sbin:/sbin')}",
        "HOME": str(of.folder / "home"),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(of.folder / "ansible.cfg"),
    }
