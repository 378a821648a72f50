"""The lab of the run, enrolled once, and put back to how it was before each test."""

import pytest

from actioncenter.connectors.ssh.connector import SshHosts
from actioncenter.estate.lab import Lab, LabHost
from tests.connectors.ssh.fleet import Fleet
from tests.connectors.ssh_harness import SshHarness


@pytest.fixture(scope="session")
def enrolled(hosts_service: Lab) -> Fleet:
    return Fleet.enrolled(hosts_service)


@pytest.fixture
def fleet(enrolled: Fleet) -> Fleet:
    enrolled.reset()
    return enrolled


@pytest.fixture
def host(fleet: Fleet) -> LabHost:
    return fleet.hosts[0]


@pytest.fixture
def connector(fleet: Fleet) -> SshHosts:
    return fleet.connector()


@pytest.fixture
def harness(fleet: Fleet) -> SshHarness:
    return SshHarness(fleet)
