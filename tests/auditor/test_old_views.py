"""What somebody looked at goes by the rule as well, but for what is held."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.auditor import purging
from actioncenter.auditor.models import PageView
from actioncenter.settings.models import LegalHold
from tests.auditor.aging import REAL, archive, purged
from tests.auditor.lives import by

__all__ = ["archive"]
pytestmark = [REAL, pytest.mark.usefixtures("archive")]


def looked(days: int, subject: str = "") -> PageView:
    at = timezone.now() - timedelta(days=days)
    return PageView.objects.create(
        at=at, actor="user:1", actor_name="Mira", page="actions:detail", subject=subject, address="/"
    )


def test_views_go_as_the_rule_says_but_for_those_of_what_is_held() -> None:
    old, held, new = looked(800), looked(800, "action:5"), looked(100)
    LegalHold.place("action:5", by=by("noa"), reason="Court order 7.")
    assert purging.is_due()

    assert purged() == 1

    assert set(PageView.objects.values_list("pk", flat=True)) == {held.pk, new.pk}
    told = Event.objects.get(kind=Kind.RETENTION_PURGED, subject_name="Log of views")
    assert (told.detail or {})["views"] == 1
    assert not purging.is_due()
    assert old.pk not in {held.pk, new.pk}


def test_no_view_is_taken_out_before_any_rule_could_say_so() -> None:
    new, changed = looked(179), looked(800)

    for statement in (new.delete, lambda: PageView.objects.filter(pk=changed.pk).update(actor_name="Tom")):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            statement()

    changed.delete()
