"""A signed-in person's requests, through the whole stack below the server: WSGI handler and middleware."""

from collections.abc import Mapping, Sequence
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any, Final, NamedTuple, Self

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client, RequestFactory
from django.utils.crypto import get_random_string

from actioncenter.accounts.models import User
from actioncenter.audit.actor import Actor
from actioncenter.settings.enums import Role
from actioncenter.web import statements
from actioncenter.web.templatetags import kept

HOST: Final = "localhost"
Fields = Mapping[str, str | Sequence[str]]


class Answered(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class WrongAnswer(RuntimeError):
    """A page that was to be measured didn't answer 200."""


class Visitor:
    """Sends requests the way a server would, so that nothing of a test client is measured."""

    def __init__(self, user: User, cookies: SimpleCookie) -> None:
        self.user = user
        self.cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())
        self.handler = WSGIHandler()
        self.environ: dict[str, dict[str, Any]] = {}

    @classmethod
    def enrol(cls) -> Self:
        """The demo's night shift: both responder roles. The flags are for the peers and mean nothing to us."""
        roles = [Role.RESPONDER, Role.EMAIL_RESPONDER]
        user = User.objects.enrol("bench", by=Actor.command("bench"), roles=roles)
        user.is_staff = user.is_superuser = True
        user.save()
        return cls.signed_in(user)

    @classmethod
    def signed_in(cls, user: User) -> Self:
        """In a session of its own. A forked process may go on with it."""
        client = Client()
        client.force_login(user)
        return cls(user, client.cookies)

    def post(self, address: str, fields: Fields, *, into: str = "") -> Answered:
        """Send a form, for a whole page or for the element that htmx puts the answer `into`."""
        token = get_random_string(32)
        headers = {"HX-Request": "true", "HX-Target": into} if into else {}
        cookies = f"{self.cookies}; {settings.CSRF_COOKIE_NAME}={token}"
        request = RequestFactory().post(
            address,
            {**fields, "csrfmiddlewaretoken": token},
            headers=headers,
            HTTP_HOST=HOST,
            HTTP_COOKIE=cookies,
        )
        response = self.handler(request.environ, _ignore)
        body = b"".join(response)
        response.close()
        return Answered(response.status_code, dict(response.headers), body)

    def get(self, address: str) -> bytes:
        """The body. Raises WrongAnswer unless the status is 200."""
        environ = self.environ.get(address)
        if environ is None:
            made = RequestFactory().get(address, HTTP_HOST=HOST, HTTP_COOKIE=self.cookies)
            environ = self.environ[address] = made.environ
        response = self.handler({**environ, "wsgi.input": BytesIO()}, _ignore)
        body = b"".join(response)
        response.close()
        if response.status_code != 200:
            raise WrongAnswer(
                f"{address} answered {response.status_code}: {body[-300:].decode(errors='replace')}"
            )
        return body

    def get_first(self, address: str) -> bytes:
        """As if nobody had seen these rows or asked for them since the process began."""
        statements.forget()
        kept.forget()
        return self.get(address)


def _ignore(status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
    return None
