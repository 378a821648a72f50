"""`manage.py estate … --hosts`: real hosts of this machine, enrolled as devices, looked at, and gone without a trace."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.connectors.ssh import enrolling
from actioncenter.connectors.ssh.authority import Authority
from actioncenter.connectors.ssh.pins import Pin
from actioncenter.connectors.ssh.schema import Options
from actioncenter.estate.lab import CONTROLLER, PEER, Lab, LabHost
from actioncenter.ops import enrolment
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import ConnectorInstance, DeviceGroup, GroupRule
from investigations import membership

NAME: Final = "Test hosts"
TAG: Final = "estate"
BY: Final = Actor.command("estate")


def up(number: int) -> dict[str, Any]:
    """Start and enrol so many; every third one is critical. Raises ServiceMissing, ServiceFailed, NotEnrolled
    and ConnectorError, and leaves nothing behind then."""
    lab = Lab(TAG)
    lab.up(number)
    try:
        instance = enrolment.connector(NAME, CONTROLLER, by=BY, namespace=lab.management, rollback_after=10)
        _group()
        authority = enrolment.authority()
        with ThreadPoolExecutor(8) as pool:
            pins = list(pool.map(lambda host: _installed(lab, host, instance, authority), lab.hosts))
        for place, (host, pin) in enumerate(zip(lab.hosts, pins, strict=True)):
            enrolment.register(instance, pin, host.name, by=BY, critical=place % 3 == 2)
        instance.enable(by=BY)
    except BaseException:
        lab.down()
        raise
    return _told(lab)


def status() -> dict[str, Any] | None:
    """What is up; None when nothing is."""
    lab = Lab(TAG)
    if not lab.names():
        return None
    lab.read()
    return _told(lab)


def down() -> bool:
    """Remove whatever `up` made, finished or not; returns whether there was anything."""
    lab = Lab(TAG)
    there = bool(lab.names())
    lab.down()
    for instance in ConnectorInstance.objects.filter(name=NAME):
        enrolment.forget(instance, by=BY)
    return there


def _told(lab: Lab) -> dict[str, Any]:
    return {
        **{host.name: f"{host.address} {host.address6} pid {host.pid}" for host in lab.hosts},
        "peer": f"{PEER[0]}: ip netns exec {lab.peer} …",
        "shell": "nsenter --target PID --all --root --wd",
        "connector": NAME,
    }


def _installed(lab: Lab, host: LabHost, instance: ConnectorInstance, authority: Authority) -> Pin:
    """Its key is known without asking it: we saw it being made."""
    options = Options.read(instance.settings)
    pin = enrolling.shown_key(host.address, 22, options.namespace)
    enrolling.enrol(
        pin, enrolling.Way("root", str(lab.admin_key), options.namespace), options.user, authority
    )
    return pin


def _group() -> None:
    """Where the hosts are; made once, and as anybody changed it since."""
    if DeviceGroup.objects.filter(name__iexact=NAME).exists():
        return
    with membership.change_groups():
        rank = DeviceGroup.objects.filter(is_default=False).count() + 1
        group = DeviceGroup.objects.create(
            name=NAME, rank=rank, level=AutomationLevel.SEMI_ALL, level_confirmed=True,
            description="Real hosts in namespaces of this machine.",
        )  # fmt: skip
        GroupRule.objects.create(group=group, property="name", operator="starts_with", value="lab-")
        after = {"name": group.name, "rank": rank, "level": group.automation.name}
        group.record(Kind.GROUP_CREATED, by=BY, before=None, after=after)
