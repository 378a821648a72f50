"""How often what happens, and what things are called. Weights are relative."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Decision, Execution, TargetKind
from actioncenter.settings.enums import AutomationLevel

T = ActionType

COMMON: Final[Mapping[ActionType, float]] = {
    T.QUARANTINE_FILE: 34.0,
    T.ANTIVIRUS_SCAN: 20.0,
    T.SOFT_DELETE_EMAIL: 11.0,
    T.KILL_PROCESS: 7.0,
    T.BLOCK_URL: 5.5,
    T.COLLECT_PACKAGE: 4.0,
    T.ISOLATE_DEVICE: 3.0,
    T.QUARANTINE_EMAIL: 2.5,
    T.STOP_SERVICE: 1.8,
    T.REMOVE_REGISTRY_KEY: 1.7,
    T.REMOVE_TASK: 1.5,
    T.RELEASE_DEVICE: 1.2,
    T.MOVE_TO_JUNK: 1.0,
    T.REQUEST_SAMPLE: 0.9,
    T.RELEASE_FILE: 0.8,
    T.RESTRICT_EXECUTION: 0.7,
    T.QUARANTINE_ATTACHMENT: 0.6,
    T.BLOCK_SENDER: 0.5,
    T.RESTORE_EMAIL: 0.4,
    T.TURN_OFF_FORWARDING: 0.05,
}
SELDOM: Final = 0.04
"""Of each type that isn't common: a few hundred in a million."""
RARE_TYPE: Final = T.TURN_OFF_FORWARDING

TYPES: Final[Mapping[ActionType, float]] = {kind: COMMON.get(kind, SELDOM) for kind in CATALOGUE}


class Ending(NamedTuple):
    """How an action ended. `automatic` means that nobody was asked."""

    decision: Decision
    execution: Execution
    automatic: bool = False


_D, _E = Decision, Execution
AUTOMATIC: Final[Mapping[Ending, float]] = {
    Ending(_D.NOT_REQUIRED, _E.SUCCEEDED, automatic=True): 91.0,
    Ending(_D.NOT_REQUIRED, _E.FAILED, automatic=True): 4.0,
    Ending(_D.NOT_REQUIRED, _E.TIMED_OUT, automatic=True): 2.5,
    Ending(_D.NOT_REQUIRED, _E.PARTLY_SUCCEEDED, automatic=True): 1.5,
    Ending(_D.NOT_REQUIRED, _E.CANCELLED, automatic=True): 1.0,
}
BY_PEOPLE: Final[Mapping[Ending, float]] = {
    Ending(_D.APPROVED, _E.SUCCEEDED): 52.0,
    Ending(_D.NOT_REQUIRED, _E.SUCCEEDED): 24.0,
    Ending(_D.REJECTED, _E.NONE): 8.0,
    Ending(_D.EXPIRED, _E.NONE): 6.0,
    Ending(_D.WITHDRAWN, _E.NONE): 2.0,
    Ending(_D.APPROVED, _E.FAILED): 3.0,
    Ending(_D.APPROVED, _E.PARTLY_SUCCEEDED): 2.0,
    Ending(_D.APPROVED, _E.TIMED_OUT): 1.5,
    Ending(_D.APPROVED, _E.CANCELLED): 0.8,
    Ending(_D.NOT_REQUIRED, _E.FAILED): 0.7,
}
ALONE: Final[Mapping[AutomationLevel | None, float]] = {
    AutomationLevel.FULL: 0.92,
    AutomationLevel.SEMI_CORE: 0.7,
    AutomationLevel.SEMI_NONTEMP: 0.4,
    AutomationLevel.SEMI_ALL: 0.05,
    AutomationLevel.NONE: 0.0,
    None: 0.0,
}
"""Share that runs without a person, by level; None is mail and the tenant."""

LEVELS: Final[Mapping[AutomationLevel, float]] = {
    AutomationLevel.FULL: 60.0,
    AutomationLevel.SEMI_CORE: 16.0,
    AutomationLevel.SEMI_NONTEMP: 8.0,
    AutomationLevel.SEMI_ALL: 14.0,
    AutomationLevel.NONE: 2.0,
}
WAITS_BECAUSE: Final[Mapping[AutomationLevel | None, str]] = {
    AutomationLevel.FULL: "full_suspicious",
    AutomationLevel.SEMI_CORE: "semi_core_in_core",
    AutomationLevel.SEMI_NONTEMP: "semi_nontemp_outside_temp",
    AutomationLevel.SEMI_ALL: "semi_all_malicious",
    AutomationLevel.NONE: "level_none",
    None: "email_malicious",
}
RUNS_BECAUSE: Final[Mapping[AutomationLevel | None, str]] = {
    AutomationLevel.FULL: "full_malicious",
    AutomationLevel.SEMI_CORE: "semi_core_outside_core",
    AutomationLevel.SEMI_NONTEMP: "semi_nontemp_in_temp",
}

PLACES: Final = ("Berlin", "Lisbon", "Osaka", "Austin", "Leeds", "Turin", "Gdansk", "Lyon", "Quito", "Perth")
TEAMS: Final = (
    "Finance laptops", "Sales laptops", "Kiosks", "Build servers", "Domain controllers", "Warehouse scanners",
    "Executives", "Lab machines", "Web servers", "Database servers", "Design workstations", "Support desks",
    "Point of sale", "Contractors", "Research cluster", "Jump hosts", "Printers and scanners", "Call centre",
    "Meeting rooms", "Test devices",
)  # fmt: skip
GIVEN: Final = (
    "Ada",
    "Bo",
    "Carla",
    "Dev",
    "Elif",
    "Finn",
    "Grace",
    "Hugo",
    "Ines",
    "Jun",
    "Kofi",
    "Lena",
    "Mara",
    "Noor",
    "Otto",
)
FAMILY: Final = ("Berg", "Costa", "Dahl", "Evans", "Fischer", "Garcia", "Haas", "Ito", "Jansen", "Kaya")
WORDS: Final = (
    "invoice", "update", "report", "setup", "payment", "driver", "scan", "order", "notice", "salary", "backup",
    "codec", "sync", "viewer", "loader", "archive", "contract", "survey", "ticket", "photo",
)  # fmt: skip
FOLDERS: Final = (
    "C:\\Users\\Public\\Downloads", "C:\\Windows\\Temp", "C:\\ProgramData\\Cache", "C:\\Windows\\System32",
    "C:\\Program Files\\Tools", "/var/spool", "/usr/local/bin", "/home/work/Downloads",
)  # fmt: skip
DOMAIN: Final = "example.com"


def target_names(kind: TargetKind) -> Sequence[str]:
    """What targets of this kind are called, the frequent ones first. Devices and mailboxes have their own names."""
    pattern = _PATTERNS.get(kind)
    if pattern is None:
        return ()
    pairs = [(first, second) for first in WORDS for second in WORDS if first != second]
    return [
        pattern.format(a=first, b=second, n=at, folder=FOLDERS[at % len(FOLDERS)])
        for at, (first, second) in enumerate(pairs, start=1)
    ]


_PATTERNS: Final[Mapping[TargetKind, str]] = {
    TargetKind.FILE: "{a}_{b}_{n}.exe",
    TargetKind.PROCESS: "{folder}\\{a}{n}.exe --{b}",
    TargetKind.SERVICE: "{a}{b}svc",
    TargetKind.DRIVER: "{a}{b}.sys",
    TargetKind.TASK: "\\Updates\\{a} {b}",
    TargetKind.REGISTRY: "HKLM\\Software\\Microsoft\\Windows\\CurrentVersion\\Run\\{a}-{b}",
    TargetKind.URL: "https://{a}-{b}.example.net/{n}?id={a}",
    TargetKind.MESSAGE: "Your {a} {b} no. {n}",
    TargetKind.CLUSTER: "Subject: {a} {b} & more",
    TargetKind.ATTACHMENT: "{a}-{b}.docm",
    TargetKind.MAILBOX: "Forwards to {a}.{b}@example.org",
    TargetKind.SENDER: "{a}@{b}.example.net",
}
