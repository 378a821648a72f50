"""Reading the environment: every helper refuses what it doesn't understand. Standard library only."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

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
        "ENGINE": "django.db.backends.sqlite3",
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
    try:
        port = parts.port
    except ValueError as error:
        raise BadSetting(f"{name} has a port that is not a number.") from error
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
