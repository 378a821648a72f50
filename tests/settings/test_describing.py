"""A key that came with a newer version: no host may stop because the installation had never heard of it."""

import pytest

from actioncenter.settings import describing
from actioncenter.settings.models import Host
from actioncenter.settings.models.hosts import REFERENCE
from tests.actions.conftest import RUNNER

pytestmark = pytest.mark.django_db


def test_a_new_key_is_that_of_the_first_host_that_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    describing.describe("web", by=RUNNER)
    reference = Host.objects.get(part=REFERENCE)
    older = {name: print_ for name, print_ in reference.keys.items() if name != "click.key"}
    Host.objects.filter(pk=reference.pk).update(keys=older)
    assert describing.differing() == []

    describing.describe("web", by=RUNNER)

    reference.refresh_from_db()
    assert reference.keys == describing.fingerprints()
    monkeypatch.setattr("django.conf.settings.CLICK_KEY", b"another host's" * 3)
    assert describing.differing() == ["click.key"]
