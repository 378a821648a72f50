"""A client whose person has just given their password."""

import time

from django.http import HttpResponse
from django.test import Client

from actioncenter.accounts.request import PROVED
from tests import factories


def proved(client: Client, seconds_ago: float = 0) -> Client:
    session = client.session
    session[PROVED] = time.time() - seconds_ago
    session.save()
    return client


def signed_in(name: str) -> Client:
    """With one of the cast, who has just given their password."""
    client = Client()
    client.force_login(factories.person(name))
    return proved(client)


def text(response: HttpResponse) -> str:
    return response.content.decode()
