"""The IMAP connector keeps what every connector has to keep, on a real Dovecot."""

import pytest

from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Support
from actioncenter.connectors.imap.capabilities import VERBS
from tests.connectors.conformance import Conformance, every_type, unsupported
from tests.connectors.conformance_endurance import ConformanceOfEndurance
from tests.connectors.conformance_limits import ConformanceOfLimits
from tests.connectors.imap_harness import ImapHarness

pytestmark = pytest.mark.dovecot
# All moves are one and the same code, so each test runs for some types today and for others tomorrow.
some_types = pytest.mark.sampled(4)


@some_types
class TestImap(Conformance):
    only = VERBS.keys()


@some_types
class TestImapLimits(ConformanceOfLimits):
    only = VERBS.keys()


@some_types
class TestImapEndurance(ConformanceOfEndurance):
    only = VERBS.keys()


@every_type
def test_what_it_cannot_do_it_declines(harness: ImapHarness, kind: ActionType) -> None:
    request = harness.request(kind)
    assert unsupported(harness, request) == (kind not in VERBS)
    found = harness.connector.capabilities(request.targets[0].kind, "")[kind]
    assert (found.support is Support.SUPPORTED) == (kind in VERBS)
