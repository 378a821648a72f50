"""The one place that knows each action type. A leaf: no Django, anyone may read it.

Labels and reversibility follow domain §3, risk and lanes design §3.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actioncenter.actions.enums import ActionType, Area, Risk, TargetKind

T = ActionType
K = TargetKind
HOUR = 3600
DAY = 24 * HOUR


class ParameterError(ValueError):
    """A parameter that the type doesn't take, or with a value it doesn't allow."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Parameter:
    """`choices` for an enumeration, else `kind` with an inclusive upper `limit` (length or value)."""

    default: Any = None
    choices: tuple[str, ...] = ()
    kind: type[str] | type[int] = str
    limit: int = 512
    required: bool = False
    admin: tuple[str, ...] = ()
    """Values that only an admin may choose."""
    unsaid: bool = False
    """Not stored while it is the default, so that what was asked for before there was such a parameter stays the same."""

    def clean(self, name: str, value: Any) -> Any:
        if self.choices:
            if value not in self.choices:
                raise ParameterError(name, f"must be one of {', '.join(self.choices)}")
            return value
        if not isinstance(value, self.kind) or isinstance(value, bool):
            raise ParameterError(name, f"must be of type {self.kind.__name__}")
        size = value if isinstance(value, int) else len(value)
        if not 0 <= size <= self.limit:
            raise ParameterError(name, f"is over the limit of {self.limit}")
        return value


@dataclass(frozen=True, slots=True)
class Entry:
    """Facts of one type. Times are in seconds; `undo_days` is None where undo has no end."""

    code: str
    label: str
    short: str
    area: Area
    kind: TargetKind
    icon: str
    lane: str
    risk: Risk
    inverse: ActionType | None = None
    undo_days: int | None = None
    undo_note: str = ""
    is_inverse: bool = False
    runner_role: str = "responder"
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    deadline: int = HOUR
    patience: int = 3 * DAY
    plan_required: bool = False
    device_wide: bool = False
    lasting: bool = False
    """Whether what it does goes on holding, so that it can be looked at whether it still does."""
    dangerous: bool = False


def _device(code: str, label: str, icon: str, lane: str, risk: Risk = Risk.MEDIUM, **more: Any) -> Entry:
    more.setdefault("short", label)
    return Entry(code=code, label=label, area=Area.DEVICE, kind=K.DEVICE, icon=icon, lane=lane, risk=risk,
                 device_wide=True, **more)  # fmt: skip


def _entity(code: str, label: str, kind: TargetKind, icon: str, lane: str, **more: Any) -> Entry:
    more.setdefault("short", label)
    more.setdefault("risk", Risk.MEDIUM)
    return Entry(code=code, label=label, area=Area.DEVICE, kind=kind, icon=icon, lane=lane, **more)


def _mail(code: str, label: str, kind: TargetKind, icon: str, lane: str, **more: Any) -> Entry:
    more.setdefault("short", label)
    more.setdefault("risk", Risk.MEDIUM)
    more.setdefault("runner_role", "email_responder")
    return Entry(code=code, label=label, area=Area.EMAIL, kind=kind, icon=icon, lane=lane, **more)


_HOURS = Parameter(kind=int, limit=24 * 30, default=0)

CATALOGUE: Mapping[ActionType, Entry] = {
    T.ISOLATE_DEVICE: _device(
        "isolate", "Isolate device", "isolate", "net", inverse=T.RELEASE_DEVICE, dangerous=True, lasting=True,
        parameters={"isolation": Parameter(default="full", choices=("full", "selective")), "hours": _HOURS},
        undo_note="The device is connected again; connections that were cut do not return."),
    T.RELEASE_DEVICE: _device("release_device", "Release from isolation", "release", "net",
                              short="Release device", is_inverse=True),
    T.RESTRICT_EXECUTION: _device(
        "restrict", "Restrict code execution", "restrict", "exec", short="Restrict execution",
        inverse=T.RELEASE_EXECUTION, dangerous=True, lasting=True, parameters={"hours": _HOURS}),
    T.RELEASE_EXECUTION: _device("release_execution", "Release code execution", "release", "exec",
                                 short="Release execution", is_inverse=True),
    T.COLLECT_PACKAGE: _device("collect_package", "Collect investigation package", "package", "pkg", Risk.LOW,
                               short="Collect package", runner_role="analyst"),
    T.ANTIVIRUS_SCAN: _device(
        "scan", "Run antivirus scan", "scan", "scan", Risk.LOW, short="Antivirus scan", runner_role="analyst",
        parameters={"scan": Parameter(default="quick", choices=("quick", "full", "custom")),
                    "path": Parameter(default="")}, deadline=12 * HOUR),
    T.REQUEST_SAMPLE: _entity("sample", "Request sample", K.FILE, "package", "sample", risk=Risk.LOW,
                              runner_role="analyst"),
    T.OFFBOARD_DEVICE: _device("offboard", "Offboard machine", "power", "device", Risk.HIGH,
                               runner_role="admin", plan_required=True, dangerous=True),
    T.CONTAIN_DEVICE: _device("contain", "Contain device", "isolate", "net", Risk.HIGH,
                              inverse=T.RELEASE_CONTAINMENT, dangerous=True, lasting=True,
                              parameters={"hours": _HOURS}),
    T.RELEASE_CONTAINMENT: _device("release_containment", "Release from containment", "release", "net",
                                   short="Release containment", is_inverse=True),
    T.QUARANTINE_FILE: _entity(
        "quarantine_file", "Stop and quarantine", K.FILE, "quarantine", "file", short="Quarantine file",
        inverse=T.RELEASE_FILE, lasting=True, undo_days=30, undo_note="The file returns, processes do not.",
        parameters={"package_files": Parameter(default="leave", choices=("leave", "take"), admin=("take",),
                                               unsaid=True)}),
    T.RELEASE_FILE: _entity("release_file", "Release from quarantine", K.FILE, "release", "file",
                            short="Release file", is_inverse=True),
    T.KILL_PROCESS: _entity("kill", "Kill process", K.PROCESS, "kill", "proc"),
    T.STOP_SERVICE: _entity("stop_service", "Stop service", K.SERVICE, "service", "svc",
                            inverse=T.START_SERVICE, lasting=True),
    T.START_SERVICE: _entity("start_service", "Start service again", K.SERVICE, "release", "svc",
                             short="Start service", is_inverse=True),
    T.DISABLE_DRIVER: _entity("disable_driver", "Disable driver", K.DRIVER, "driver", "drv",
                              inverse=T.ENABLE_DRIVER, lasting=True),
    T.ENABLE_DRIVER: _entity("enable_driver", "Enable driver again", K.DRIVER, "release", "drv",
                             short="Enable driver", is_inverse=True),
    T.REMOVE_TASK: _entity("remove_task", "Remove scheduled task", K.TASK, "task", "task",
                           short="Remove task", inverse=T.RESTORE_TASK, lasting=True),
    T.RESTORE_TASK: _entity("restore_task", "Restore scheduled task", K.TASK, "release", "task",
                            short="Restore task", is_inverse=True),
    T.REMOVE_REGISTRY_KEY: _entity("remove_registry", "Remove registry key", K.REGISTRY, "key", "reg",
                                   inverse=T.RESTORE_REGISTRY_KEY, lasting=True),
    T.RESTORE_REGISTRY_KEY: _entity("restore_registry", "Restore registry key", K.REGISTRY, "release", "reg",
                                    is_inverse=True),
    T.EXPAND_PIVOT: _entity("expand_pivot", "Expand pivot", K.INVESTIGATION, "pivot", "pivot"),
    T.BLOCK_URL: _mail("block_url", "Block URL (time-of-click)", K.URL, "url", "url", short="Block URL",
                       inverse=T.UNBLOCK_URL, lasting=True, parameters={"days": Parameter(kind=int, limit=365, default=0)}),
    T.UNBLOCK_URL: _mail("unblock_url", "Unblock URL", K.URL, "release", "url", is_inverse=True),
    T.SOFT_DELETE_EMAIL: _mail(
        "soft_delete", "Soft delete email messages or clusters", K.CLUSTER, "mailx", "msg",
        short="Soft delete email", inverse=T.RESTORE_EMAIL, undo_days=30,
        undo_note="Messages return to the folder they came from."),
    T.RESTORE_EMAIL: _mail("restore_email", "Move email back", K.MESSAGE, "release", "msg", risk=Risk.LOW,
                           is_inverse=True),
    T.QUARANTINE_EMAIL: _mail("quarantine_email", "Quarantine email", K.CLUSTER, "mailq", "msg",
                              risk=Risk.LOW, inverse=T.RELEASE_EMAIL, undo_days=30),
    T.RELEASE_EMAIL: _mail("release_email", "Release email from quarantine", K.MESSAGE, "release", "msg",
                           short="Release email", risk=Risk.LOW, is_inverse=True),
    T.QUARANTINE_ATTACHMENT: _mail(
        "quarantine_attachment", "Quarantine an email attachment", K.ATTACHMENT, "clip", "msg",
        short="Quarantine attachment", risk=Risk.LOW, inverse=T.RELEASE_ATTACHMENT, undo_days=30),
    T.RELEASE_ATTACHMENT: _mail("release_attachment", "Release email attachment", K.ATTACHMENT, "release",
                                "msg", short="Release attachment", risk=Risk.LOW, is_inverse=True),
    T.TURN_OFF_FORWARDING: _mail(
        "forwarding_off", "Turn off external mail forwarding", K.MAILBOX, "forward", "fwd",
        short="Turn off forwarding", inverse=T.RESTORE_FORWARDING, lasting=True),
    T.RESTORE_FORWARDING: _mail("forwarding_on", "Restore mail forwarding", K.MAILBOX, "release", "fwd",
                                short="Restore forwarding", is_inverse=True),
    T.REMOVE_DELEGATION: _mail("delegation_off", "Remove mailbox delegation", K.MAILBOX, "user", "dlg",
                               short="Remove delegation", inverse=T.RESTORE_DELEGATION, lasting=True),
    T.RESTORE_DELEGATION: _mail("delegation_on", "Restore mailbox delegation", K.MAILBOX, "release", "dlg",
                                short="Restore delegation", is_inverse=True),
    T.MOVE_TO_JUNK: _mail("move_junk", "Move to junk", K.CLUSTER, "mailx", "msg", risk=Risk.LOW,
                          inverse=T.RESTORE_EMAIL),
    T.MOVE_TO_INBOX: _mail("move_inbox", "Move to inbox", K.CLUSTER, "mail", "msg", risk=Risk.LOW,
                           inverse=T.RESTORE_EMAIL),
    T.MOVE_TO_DELETED: _mail("move_deleted", "Move to deleted items", K.CLUSTER, "mailx", "msg",
                             short="Move to deleted", risk=Risk.LOW, inverse=T.RESTORE_EMAIL),
    T.HARD_DELETE_EMAIL: _mail("hard_delete", "Hard delete email", K.CLUSTER, "mailx", "msg", risk=Risk.HIGH,
                               runner_role="admin", plan_required=True, dangerous=True),
    T.BLOCK_SENDER: _mail("block_sender", "Block sender", K.SENDER, "mailx", "sender",
                          inverse=T.UNBLOCK_SENDER, lasting=True),
    T.UNBLOCK_SENDER: _mail("unblock_sender", "Unblock sender", K.SENDER, "release", "sender",
                            is_inverse=True),
}  # fmt: skip

BY_CODE: Mapping[str, ActionType] = {entry.code: kind for kind, entry in CATALOGUE.items()}


def clean_parameters(kind: ActionType, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter of the type, defaults filled in; raises ParameterError."""
    known = CATALOGUE[kind].parameters
    for name in raw:
        if name not in known:
            raise ParameterError(name, f"{CATALOGUE[kind].label} takes no such parameter")
    cleaned = {}
    for name, parameter in known.items():
        if name in raw:
            cleaned[name] = parameter.clean(name, raw[name])
            if parameter.unsaid and cleaned[name] == parameter.default:
                del cleaned[name]
        elif parameter.unsaid:
            continue
        elif parameter.required:
            raise ParameterError(name, "is required")
        else:
            cleaned[name] = parameter.default
    if cleaned.get("scan") == "custom" and not cleaned["path"].strip():
        raise ParameterError("path", "is required for a custom scan")
    return cleaned


def for_admins(kind: ActionType, parameters: Mapping[str, Any]) -> bool:
    """Whether one of its values is an admin's to choose."""
    known = CATALOGUE[kind].parameters
    return any(name in known and value in known[name].admin for name, value in parameters.items())


def risk_of(kind: ActionType, *, critical: bool, devices: int) -> Risk:
    """Risk of one action: isolating or restricting is high on critical assets or over ten devices."""
    entry = CATALOGUE[kind]
    if kind in {T.ISOLATE_DEVICE, T.RESTRICT_EXECUTION} and (critical or devices > 10):
        return Risk.HIGH
    return entry.risk


def needs_plan(kind: ActionType, target: TargetKind) -> bool:
    """Whether nobody may approve without a plan: what is hit isn't known before it was looked up."""
    return CATALOGUE[kind].plan_required or target == K.CLUSTER


def lane_of(kind: ActionType, owner: str, entity: str) -> str:
    """The lane that serialises what contradicts, e.g. `net:12`, `file:12:9f2c…`.

    `owner` is the device or mailbox, empty for the tenant; `entity` the hash, path or message, or the peer
    that contains the device: peers don't wait for each other.
    """
    entry = CATALOGUE[kind]
    if entry.device_wide and not (entity and kind in {T.CONTAIN_DEVICE, T.RELEASE_CONTAINMENT}):
        return f"{entry.lane}:{owner}"
    if entry.lane in {"fwd", "dlg"}:
        return f"{entry.lane}:{owner}"
    if entry.lane in {"msg", "url", "sender", "pivot"}:
        return f"{entry.lane}:{entity}"
    return f"{entry.lane}:{owner}:{entity}"
