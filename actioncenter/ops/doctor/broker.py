"""Checks of the broker: whether it answers, and to whom else."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import redis
from django.conf import settings
from kombu.connection import Connection

from actioncenter.environment import LOOPBACK
from actioncenter.ops.doctor.finding import Finding, error, warning

PATIENCE: Final = 2.0
EVERYWHERE: Final = {"*", "0.0.0.0", "::", "-::*", ""}  # noqa: S104 - what to look for
MEANS: Final = "Whoever reaches it can wake runners at will and read ids; nothing more, but it is a door."


def broker() -> Iterator[Finding]:
    url = settings.CELERY_BROKER_URL
    if not url:
        return
    if trouble := _trouble(url):
        yield error(
            "broker.away", f"The broker doesn't answer: {trouble}", "Everything happens, a little later: runners look every second.",
            "Start it, or check ACTIONCENTER_BROKER_URL.",
        )  # fmt: skip
        return
    parts = urlsplit(url)
    yield from _exposed(parts)
    if parts.scheme in {"redis", "amqp", "pyamqp"} and not _is_here(parts):
        yield warning(
            "broker.clear", "The line to the broker isn't encrypted", MEANS, "Use rediss:// or amqps://."
        )


def _trouble(url: str) -> str:
    try:
        with Connection(url, connect_timeout=PATIENCE) as line:  # type: ignore[no-untyped-call]
            line.ensure_connection(max_retries=1, timeout=PATIENCE)
    except Exception as error_:  # noqa: BLE001 - every client library has its own
        return type(error_).__name__
    return ""


def _exposed(parts: SplitResult) -> Iterator[Finding]:
    if parts.scheme in {"redis", "rediss"}:
        yield from _redis(parts)
    elif "amqp" in parts.scheme and (parts.username or "guest") == "guest" and not _is_here(parts):
        yield error(
            "broker.guest",
            "RabbitMQ lets the user guest in over the network",
            MEANS,
            "Delete that user; make one with a password.",
        )


def _redis(parts: SplitResult) -> Iterator[Finding]:
    if not _open_to_all(parts):
        return
    bound = _bound(parts)
    local = (
        bound.isdisjoint(EVERYWHERE) and all(_is_local(name) for name in bound) if bound else _is_here(parts)
    )
    if not local:
        where = (
            "on all interfaces" if bound & EVERYWHERE else f"on {', '.join(sorted(bound)) or parts.hostname}"
        )
        yield error(
            "broker.open",
            f"Redis answers without a password {where}",
            MEANS,
            "Set requirepass, and bind it to what needs it.",
        )


def _is_here(parts: SplitResult) -> bool:
    """Without a name it is this machine."""
    return (parts.hostname or "localhost") in LOOPBACK


def _client(parts: SplitResult) -> Any:
    return redis.Redis(
        host=parts.hostname or "127.0.0.1", port=parts.port or 6379, ssl=parts.scheme == "rediss",
        socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE,
    )  # fmt: skip


def _open_to_all(parts: SplitResult) -> bool:
    """Whether it takes us without the password."""
    try:
        with _client(parts) as line:
            return bool(line.ping())
    except redis.RedisError:
        return False


def _bound(parts: SplitResult) -> set[str]:
    """The addresses it listens on; empty where it doesn't say."""
    try:
        with _client(parts) as line:
            said = line.config_get("bind").get("bind")
    except redis.RedisError:
        return set()
    return set() if said is None else set(said.split() or [""])


def _is_local(address: str) -> bool:
    return address.lstrip("-") in LOOPBACK
