"""A real systemd on a host of the lab. The hosts' first process is a script, so it runs one level deeper, as the
first process of a container would, and `systemctl` is led there."""

from pathlib import Path
from typing import Any

import pytest

from actioncenter.estate.lab import LabHost
from tests.connectors.ssh.fleet import UNITS, Fleet
from tests.connectors.ssh.wires import until

SYSTEMD = Path("/lib/systemd/systemd")
_START = """
set -eu
mkdir -p /etc/systemd/system /run/lab-systemd
printf '[Unit]\\nDefaultDependencies=no\\n' > /etc/systemd/system/lab.target
cat > /run/lab-systemd/start <<'END'
mount -t proc proc /proc
mount -t cgroup2 none /sys/fs/cgroup
export container=lab
exec /lib/systemd/systemd --system --unit=lab.target --show-status=0
END
cat > /run/lab-systemd/systemctl <<'END'
#!/bin/sh
exec nsenter -t "$(cat /run/lab-systemd/pid)" -p -m -C -- /usr/bin/systemctl.real "$@"
END
chmod 755 /run/lab-systemd/systemctl
mv /usr/bin/systemctl /usr/bin/systemctl.real
cp /run/lab-systemd/systemctl /usr/bin/systemctl
setsid unshare --mount --pid --cgroup --fork --propagation private /bin/sh /run/lab-systemd/start \
    >/run/lab-systemd/log 2>&1 </dev/null &
for _ in $(seq 400); do
    if pgrep -x systemd > /run/lab-systemd/pid && systemctl is-system-running >/dev/null 2>&1; then exit 0; fi
    sleep 0.05
done
cat /run/lab-systemd/log >&2
exit 1
"""
_FORGET = """
systemctl daemon-reload
systemctl kill -s KILL "$@" 2>/dev/null
systemctl stop "$@" 2>/dev/null
systemctl reset-failed
"""
UNIT = """[Unit]
Description=A service of somebody
DefaultDependencies=no
[Service]
ExecStart={command}
Restart=always
RestartSec=0
[Install]
WantedBy=multi-user.target
Alias={alias}
"""
TIMER = """[Unit]
DefaultDependencies=no
[Timer]
OnActiveSec=1h
Unit=lab-{name}.service
[Install]
WantedBy=timers.target
"""


def boot(fleet: Fleet, host: LabHost, *, clear: bool = True) -> None:
    """Once for each host; skips where this machine has none."""
    if not SYSTEMD.exists():
        pytest.skip("systemd is not installed (apt install systemd)")
    if fleet.file(host, "/run/lab-systemd/pid").exists():
        if clear:
            _clear(fleet, host)
    else:
        host.run("/bin/sh", "-c", _START)


def systemctl(host: LabHost, *words: str) -> str:
    return host.run("/usr/bin/systemctl", *words).decode()


def put_unit(fleet: Fleet, host: LabHost, name: str, text: str) -> None:
    fleet.put(host, f"{UNITS}/{name}", text.encode())


def service(fleet: Fleet, host: LabHost, name: str, command: str = "/usr/bin/sleep 1000") -> str:
    """One that runs, is enabled, and starts again by itself; its full name."""
    unit = f"lab-{name}.service"
    put_unit(fleet, host, unit, UNIT.format(command=command, alias=f"lab-also-{name}.service"))
    systemctl(host, "daemon-reload")
    systemctl(host, "enable", "--now", unit)
    assert until(lambda: active(host, unit))
    return unit


def timer(fleet: Fleet, host: LabHost, name: str) -> str:
    put_unit(fleet, host, f"lab-{name}.timer", TIMER.format(name=name))
    put_unit(fleet, host, f"lab-{name}.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
    systemctl(host, "daemon-reload")
    systemctl(host, "enable", "--now", f"lab-{name}.timer")
    return f"lab-{name}.timer"


def active(host: LabHost, unit: str) -> bool:
    return systemctl(host, "show", "-p", "ActiveState", unit).strip() == "ActiveState=active"


def snapshot(fleet: Fleet, host: LabHost, unit: str) -> Any:
    """What is under its name, and whether it runs."""
    return [fleet.read(path) for path in _paths(fleet, host, unit)], active(host, unit)


def put_back(fleet: Fleet, host: LabHost, unit: str, taken: Any) -> None:
    """As somebody would by hand."""
    files, runs = taken
    for path, (link, content) in zip(_paths(fleet, host, unit), files, strict=True):
        path.unlink(missing_ok=True)
        if link:
            path.symlink_to(link)
        elif content is not None:
            path.write_bytes(content)
    systemctl(host, "daemon-reload")
    systemctl(host, "start" if runs else "stop", unit)


def _paths(fleet: Fleet, host: LabHost, unit: str) -> list[Path]:
    also = unit.replace("lab-", "lab-also-")
    wants = "timers" if unit.endswith(".timer") else "multi-user"
    return [fleet.file(host, f"{UNITS}/{name}") for name in (unit, f"{wants}.target.wants/{unit}", also)]


def occupy(fleet: Fleet, host: LabHost, unit: str, more: str = "") -> None:
    """Somebody wrote another one of that name."""
    fleet.file(host, f"{UNITS}/{unit}").unlink(missing_ok=True)
    put_unit(fleet, host, unit, f"[Service]\nExecStart=/bin/true\n{more}")


def _clear(fleet: Fleet, host: LabHost) -> None:
    """Whatever a test left of its units is gone."""
    left = [path for path in fleet.file(host, UNITS).rglob("lab-*") if path.is_symlink() or path.is_file()]
    names = sorted({path.name for path in left if path.suffix in {".service", ".timer"}})
    for path in left:
        if path.name != "lab.target":
            path.unlink()
    if names:
        host.run("/bin/sh", "-c", _FORGET, "sh", *names)
