"""A client whose person has just given their password."""

import time

from django.test import Client

from actioncenter.accounts.request import PROVED


def proved(client: Client, seconds_ago: float = 0) -> Client:
    session = client.session
    session[PROVED] = time.time() - seconds_ago
    session.save()
    return client
