"""Mailboxes that are known, by the addresses under which connectors name them."""

from collections.abc import Iterable

from actioncenter.settings.access import Scope, mailboxes_within
from investigations.models import Mailbox


def numbers_of(addresses: Iterable[str], scope: Scope) -> dict[str, int]:
    """Address -> the number of the mailbox, where the person may see one."""
    asked = {address for address in addresses if address}
    rows = mailboxes_within(Mailbox.objects.filter(address__in=asked), scope)
    return dict(rows.order_by("-pk").values_list("address", "pk")) if asked else {}
