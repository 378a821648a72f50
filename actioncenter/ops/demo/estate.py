"""What lies and runs on the simulated devices and mailboxes: what the documents speak of, and a little life."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from actioncenter.connectors.simulator.estate import Estate
from actioncenter.connectors.simulator.faults import Behaviour
from actioncenter.ops.demo.reading import Raw

Things = dict[str, list[Raw]]

OFFLINE: Final = "hh-lt-0447.halden.example"
SLOW: Final = "hh-lt-0431.halden.example"
FAULTS: Final = (
    (Behaviour.REFUSE, "in_use", "eng-ws-140.halden.example"),
    (Behaviour.LIE, True, "eng-ws-118.halden.example"),
    (Behaviour.TIMEOUT_AFTER_EFFECT, True, "eng-ws-103.halden.example"),
)
SLOW_SECONDS: Final = 1800.0
_ORDINARY: Final[Mapping[str, Sequence[Raw]]] = {
    "windows": (
        {"name": "WinDefend", "path": r"C:\Program Files\Windows Defender\MsMpEng.exe"},
        {"name": "Spooler", "path": r"C:\Windows\System32\spoolsv.exe"},
    ),
    "linux": (
        {"name": "ssh.service", "path": "/usr/sbin/sshd"},
        {"name": "nginx.service", "path": "/usr/sbin/nginx"},
    ),
}


def describe(documents: Sequence[Raw]) -> Raw:
    """A description as `simulator.seeding.things` takes it."""
    devices: dict[str, Raw] = {}
    mailboxes: dict[str, Raw] = {}
    for alert in (alert for document in documents for alert in document["alerts"]):
        names = {device["ref"]: _device(devices, device) for device in alert.get("devices", [])}
        boxes = {box["ref"]: _mailbox(mailboxes, box["address"]) for box in alert.get("mailboxes", [])}
        for item in alert.get("evidence", []):
            if "device" in item:
                _add_to_device(names[item["device"]], item)
            else:
                _add_to_mail(boxes.get(item.get("mailbox")), mailboxes, item)
    return {"devices": list(devices.values()), "mailboxes": list(mailboxes.values())}


def _device(known: dict[str, Raw], device: Raw) -> Raw:
    """By the name under which the simulator is asked for it (investigations.queries.bind_to_simulator)."""
    remote = str(device.get("dns_name") or device["name"]).lower()
    if remote not in known:
        system = device["os"]["family"]
        known[remote] = {
            "remote": remote,
            "name": device["name"],
            "os": system,
            "online": remote != OFFLINE,
            "services": list(_ORDINARY.get(system, ())),
        }
    return known[remote]


def _mailbox(known: dict[str, Raw], address: str) -> Raw:
    return known.setdefault(
        address, {"address": address, "internal": True, "forwarding": [], "delegates": [], "messages": []}
    )


_SHAPES: Final[Mapping[str, tuple[str, Callable[[Raw], Raw]]]] = {
    "file": ("files", lambda facts: {**facts, "malicious": True}),
    "process": (
        "processes",
        lambda facts: {
            "pid": str(facts["pid"]),
            "name": facts["file_name"],
            "command_line": facts["command_line"],
        },
    ),
    "service": ("services", lambda facts: {"name": facts["name"], "path": facts["path"]}),
    "driver": ("drivers", lambda facts: {"name": facts["name"], "path": facts["path"]}),
    "scheduled_task": (
        "tasks",
        lambda facts: {
            "name": facts["name"],
            "definition": {"command": facts.get("command_line") or facts["path"]},
        },
    ),
    "registry": (
        "registry",
        lambda facts: {"key": facts["key"], "values": {facts["value_name"]: facts["value"], "OneDrive": "onedrive.exe /background"}},
    ),
}  # fmt: skip


def _add_to_device(device: Raw, item: Raw) -> None:
    """What has no verdict, or a good one, lies there as well."""
    if item["type"] in _SHAPES:
        plural, shape = _SHAPES[item["type"]]
        device.setdefault(plural, []).append(shape(item["facts"]))
    if account := item["facts"].get("account"):
        device.setdefault("sessions", []).append(account)


def _add_to_mail(box: Raw | None, boxes: dict[str, Raw], item: Raw) -> None:
    facts = item["facts"]
    match item["type"]:
        case "forwarding" if box:
            box["forwarding"].append({"to": facts["address"], "external": True})
        case "delegation" if box:
            box["delegates"].append(facts["delegate"])
        case "mail_cluster":
            for address, message in _copies(facts, list(boxes)):
                _mailbox(boxes, address)["messages"].append(message)
        case "attachment" if box:
            attachment = {name: facts[name] for name in ("sha256", "size")} | {"name": facts["file_name"]}
            said = {name: facts[name] for name in ("message_id", "sender", "subject")}
            box["messages"].append({**said, "folder": "Inbox", "attachments": [attachment]})


def _copies(facts: Raw, addresses: Sequence[str]) -> Iterator[tuple[str, Raw]]:
    """Every copy of a cluster's messages: as named, else each message to as many people as the count says."""
    value = facts.get("cluster_value", "").split(";")
    said = {"subject": facts["name"], "sender": f"sender@{value[1] if len(value) > 1 else 'unknown.example'}"}
    for member in facts.get("members", []):
        yield member["mailbox"], {**said, "message_id": member["message_id"], "folder": member["folder"]}
    ids = facts.get("message_ids", [])
    for number in range(facts["email_count"] if ids else 0):
        message_id, person = ids[number % len(ids)], addresses[number // len(ids) % len(addresses)]
        folder = "Junk" if number % 13 == 0 else "Inbox"
        yield person, {**said, "message_id": message_id, "folder": folder}


def misbehave(estate: Estate) -> None:
    """What goes wrong in the demo goes wrong in the simulated estate, not in our rows."""
    for behaviour, value, owner in FAULTS:
        estate.behave(behaviour, value, owner=owner)
    keep_slow(estate)


def keep_slow(estate: Estate) -> None:
    """Half an hour for one device, so that somebody who looks around sees it running."""
    estate.behave(Behaviour.SLOW, SLOW_SECONDS, owner=SLOW)
