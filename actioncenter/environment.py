"""Reading the environment: every helper refuses what it doesn't understand. Standard library only."""

import ipaddress
import os
from email.utils import getaddresses
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


class BadSetting(ValueError):
    """An environment variable whose value makes no sense; the text names it and what would."""


def text(name: str, default: str = "") -> str:
    """Return the variable, or the content of the file that NAME_FILE points at (container secrets)."""
    pointer = os.environ.get(f"{name}_FILE")
    if pointer and os.environ.get(name):
        raise BadSetting(f"Set {name} or {name}_FILE, not both.")
    if not pointer:
        return os.environ.get(name) or default
    try:
        return Path(pointer).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadSetting(f"{name}_FILE: can't read {pointer}: {error.strerror}.") from error


def flag(name: str, *, default: bool = False) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.lower() in TRUE:
        return True
    if value.lower() in FALSE:
        return False
    raise BadSetting(f"{name} must be 1 or 0, not {value!r}.")


def words(name: str, default: str = "") -> list[str]:
    """Return a comma-separated list without empty entries."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def networks(name: str) -> list[str]:
    """Return a comma-separated list of addresses and networks such as 10.0.0.0/8."""
    given = words(name)
    for each in given:
        try:
            ipaddress.ip_network(each)
        except ValueError as error:
            raise BadSetting(f"{name}: {each!r} is no address and no network.") from error
    return given


def folder(name: str, default: Path) -> Path:
    return Path(text(name, str(default))).expanduser().absolute()


def choice(name: str, default: str, allowed: frozenset[str]) -> str:
    value = text(name, default)
    if value not in allowed:
        raise BadSetting(f"{name} must be one of {', '.join(sorted(allowed))}, not {value!r}.")
    return value


def database(name: str, default: str) -> dict[str, Any]:
    """Turn sqlite:///path or postgres://user:password@host:port/name?option=value into a Django database."""
    url = text(name, default)
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return _sqlite(name, unquote(parts.path[1:]))
    if parts.scheme in {"postgres", "postgresql"}:
        return _postgres(name, url)
    raise BadSetting(f"{name} must start with sqlite:/// or postgres://.")


def _sqlite(name: str, path: str) -> dict[str, Any]:
    if not path:
        raise BadSetting(f"{name} names no file: write sqlite:////absolute/path or sqlite:///relative/path.")
    return {
        "ENGINE": "actioncenter.sqlite",
        "NAME": str(Path(path).absolute()),
        # IMMEDIATE: a transaction that reads first and writes later fails at once under load otherwise,
        # whatever the timeout. FULL: the last decisions before a power cut must not be lost.
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
        "CONN_MAX_AGE": None,
    }


def _postgres(name: str, url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    port = _port(name, url)
    if not parts.path.strip("/"):
        raise BadSetting(f"{name} names no database.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }


def owner(name: str, runtime: dict[str, Any]) -> dict[str, Any] | None:
    """Return the same database under the role that owns its tables; None when unset."""
    if not text(name):
        return None
    found = database(name, "")
    if "postgresql" not in found["ENGINE"] or "postgresql" not in runtime["ENGINE"]:
        raise BadSetting(
            f"{name} is for PostgreSQL, and ACTIONCENTER_DATABASE_URL must be the same database."
        )
    return found


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def smtp(name: str) -> dict[str, Any]:
    """Take smtp://user:password@host:port?starttls=1 or smtps://… to pieces; empty when unset."""
    url = text(name)
    if not url:
        return {}
    parts = _split(name, url)
    options = dict(parse_qsl(parts.query))
    starttls = options.pop("starttls", "0")
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise BadSetting(f"{name} must be smtp://host:port or smtps://host:port.")
    if options or starttls not in {"0", "1"}:
        raise BadSetting(f"{name}: the only option is starttls=1.")
    tls, implicit = starttls == "1", parts.scheme == "smtps"
    if tls and implicit:
        raise BadSetting(f"{name}: smtps:// is encrypted from the start; leave starttls out.")
    if parts.password and not (tls or implicit or parts.hostname in LOOPBACK):
        raise BadSetting(f"{name} would send its password in the clear: use smtps:// or ?starttls=1.")
    return {
        "host": parts.hostname,
        "port": _port(name, url) or (465 if implicit else 587 if tls else 25),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "starttls": tls,
        "tls": implicit,
    }


def address(name: str, *, needed: bool) -> str:
    """Return a mail address such as `Action center <ac@example.com>`; "" when unset and not needed."""
    value = text(name)
    if needed and not value:
        raise BadSetting(f"{name} must say whom mail comes from.")
    found = [bare for _, bare in getaddresses([value])]
    before, _, host = found[0].rpartition("@") if len(found) == 1 else ("", "", "")
    if value and not (before and host and value.isprintable()):
        raise BadSetting(f"{name} must be one mail address.")
    return value


def site(name: str) -> str:
    """Return https://host without a slash at its end; "" when unset."""
    url = text(name).rstrip("/")
    parts = _split(name, url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment):
        raise BadSetting(f"{name} must be https://host, with nothing but a path after it.")
    return url


def watcher(name: str) -> SplitResult | None:
    """Return https://host/path, http://… on this machine, or file:///path; None when unset."""
    url = text(name)
    if not url:
        return None
    parts = _split(name, url)
    _port(name, url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if parts.username or parts.fragment or not url.isascii():
        raise BadSetting(f"{name} carries no user and no fragment; the credential has a variable of its own.")
    if (safe and parts.hostname) or (parts.scheme == "file" and not parts.netloc and parts.path != "/"):
        return parts
    raise BadSetting(f"{name} must be https://host/path, http:// on this machine, or file:///path.")


def seconds(name: str, default: int) -> int:
    value = text(name, str(default))
    if not value.isdecimal() or not 1 <= int(value) <= 3600:
        raise BadSetting(f"{name} must be a number of seconds between 1 and 3600.")
    return int(value)


def _split(name: str, url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise BadSetting(f"{name} is no address that can be read.") from error


def _port(name: str, url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError as error:
        raise BadSetting(f"{name} has a port that is not a number.") from error
