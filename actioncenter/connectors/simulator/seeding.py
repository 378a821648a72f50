"""From a description of an estate to its things."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from actioncenter.connectors.simulator import scene as s
from actioncenter.connectors.simulator.entities import folded, key_name
from actioncenter.connectors.simulator.mail import INBOX, assumed_id
from actioncenter.connectors.simulator.scene import Ref, State

Described = Mapping[str, Any]


def things(description: Described) -> Iterator[tuple[Ref, State]]:
    """Yield what an estate description names.

    {"devices": [{"remote", "name", "os": "windows"|"linux"|"macos", "online", "sessions": [...],
                  "files": [{"path", "sha256", "sha1", "size", "malicious", "protected"}],
                  "processes": [{"pid", "name", "path", "command_line", "sha256"}],
                  "services": [{"name", "path"}], "drivers": [{"name", "path"}],
                  "tasks": [{"name", "definition"}], "registry": [{"hive", "key", "values": {...}}]}],
     "mailboxes": [{"address", "internal", "forwarding": [{"to", "external"}], "delegates": [...],
                    "messages": [{"stable_id", "message_id", "sender", "subject", "folder", "flags",
                                  "urls": [...], "attachments": [{"name", "sha256", "size"}]}]}],
     "blocked_urls": [...], "blocked_senders": [...]}

    Only remote, address and the entities' own names are needed; the rest has plain defaults.
    """
    for device in description.get("devices", []):
        yield from _device(device)
    for mailbox in description.get("mailboxes", []):
        yield from _mailbox(mailbox)
    for kind, names in ((s.URL, "blocked_urls"), (s.SENDER, "blocked_senders")):
        for name in description.get(names, []):
            yield Ref(kind, "", name), {"blocked": True, "days": 0}


def _device(device: Described) -> Iterator[tuple[Ref, State]]:
    remote = device["remote"]
    state: State = {
        "name": remote,
        "os": "windows",
        "online": True,
        "isolation": "none",
        "restricted": False,
        "contained": False,
        "offboarded": False,
        "last_scan": None,
        "sessions": [],
    }
    yield Ref(s.DEVICE, "", remote), state | {name: device[name] for name in state if name in device}
    for plural, (kind, name_of, defaults) in _ENTITIES.items():
        for entity in device.get(plural, []):
            yield Ref(kind, remote, name_of(entity)), {**defaults, **entity}


def _key_name(key: Described) -> str:
    return key_name(key.get("hive", ""), key.get("key", ""))


def _name(entity: Described) -> str:
    return str(entity["name"])


_ENTITIES: Final[Mapping[str, tuple[str, Callable[[Described], str], State]]] = {
    "files": (
        s.FILE,
        lambda file: folded(file["path"]),
        {"sha256": "", "sha1": "", "size": 0, "status": "present", "vault": None},
    ),
    "processes": (
        s.PROCESS,
        lambda process: str(process["pid"]),
        {"name": "", "path": "", "command_line": "", "sha256": "", "status": "running"},
    ),
    "services": (s.SERVICE, _name, {"path": "", "status": "running", "start": "auto"}),
    "drivers": (s.DRIVER, _name, {"path": "", "loaded": True, "start": "system"}),
    "tasks": (s.TASK, _name, {"definition": {}}),
    "registry": (s.REGISTRY, _key_name, {"hive": "", "key": "", "values": {}}),
}


def _mailbox(mailbox: Described) -> Iterator[tuple[Ref, State]]:
    address = mailbox["address"].lower()
    yield (
        Ref(s.MAILBOX, "", address),
        {
            "internal": mailbox.get("internal", True),
            "forwarding": list(mailbox.get("forwarding", [])),
            "delegates": dict.fromkeys(mailbox.get("delegates", []), True),
        },
    )
    for message in mailbox.get("messages", []):
        yield _message(address, message)


def _message(address: str, message: Described) -> tuple[Ref, State]:
    message_id = str(message.get("message_id", ""))
    stable = str(message.get("stable_id") or assumed_id(address, message_id))
    state: State = {
        "folder": INBOX,
        "flags": [],
        "subject": "",
        "urls": [],
        "cluster": "",
        **message,
        "mailbox": address,
        "message_id": message_id,
        "sender": str(message.get("sender", "")).lower(),
        "attachments": [{"size": 0, "quarantined": False, **item} for item in message.get("attachments", [])],
    }
    state.pop("stable_id", None)
    return Ref(s.MESSAGE, "", stable), state
