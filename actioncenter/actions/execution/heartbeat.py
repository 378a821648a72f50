"""A sign of life to a watcher outside, who notices when it no longer comes.

Whatever could tell of its own end may end with it: machine, database, runner. So it is the silence
that speaks. Nothing is sent while no runner is heard. A redirect is not followed, because the credential
is for one place only.
"""

import http.client
import json
import logging
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult

from django.conf import settings

from actioncenter.actions.queries import runners
from actioncenter.audit.actor import Actor
from actioncenter.settings.models import Stop
from actioncenter.settings.models.stops import stop_file_reason

logger = logging.getLogger(__name__)
TIMEOUT: Final = 5.0


def is_on() -> bool:
    return bool(settings.WATCHER_URL)


def send(by: Actor) -> int:
    """1 where it arrived. What goes wrong is logged and nothing more: the watcher notices."""
    told, url = state(), settings.WATCHER_URL
    if url is None or told["runners"] == told["silent"]:
        return 0
    try:
        _deliver(url, json.dumps(told))
    except (OSError, http.client.HTTPException) as error:
        logger.warning("the watcher could not be told that we live: %s", error)
        return 0
    return 1


def state() -> dict[str, Any]:
    """Numbers only: whoever watches need not know whom we protect."""
    known = runners.known()
    stopped = stop_file_reason() is not None or Stop.objects.in_force().exists()
    return {"runners": len(known), "silent": sum(runner.silent for runner in known), "stopped": stopped}


def _deliver(url: SplitResult, text: str) -> None:
    if url.scheme == "file":
        Path(url.path).write_text(f"{text}\n", encoding="utf-8")
        return
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    wire = kind(url.hostname or "", url.port, timeout=TIMEOUT)
    try:
        wire.request("POST", url._replace(scheme="", netloc="").geturl() or "/", text, _headers())
        answer = wire.getresponse()
        if not 200 <= answer.status < 300:
            raise http.client.HTTPException(f"it answered {answer.status}")
    finally:
        wire.close()


def _headers() -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if settings.WATCHER_TOKEN:
        headers["Authorization"] = f"Bearer {settings.WATCHER_TOKEN}"
    return headers
