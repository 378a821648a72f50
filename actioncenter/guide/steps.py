"""The tour of the demo estate: what it says, and on which page."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    text: str
    page: str
    """By the name of its address."""
    mark: str
    """What is framed meanwhile (static/css/guide.css)."""
    opens: bool = False
    """One of the list."""


COOKIE: Final = "tour"
STEPS: Final = (
    Step(
        "What waits",
        "Alerts became investigations, and those propose actions. What a rule lets run has run by itself; the rest waits "
        "for a person. Here you see how much, for whom and how long.",
        "home",
        "wait",
    ),
    Step(
        "One line for each decision",
        "A line says what would be done and on what, why it waits, how bad it is, when it expires, and whether it can be "
        "taken back: an arrow against a wall can't. What nobody decides isn't done.",
        "actions:pending",
        "rows",
    ),
    Step(
        "Facts before buttons",
        "An opened action says why it waits, what would change and what the evidence is. Read it from top to bottom; "
        "whatever is missing here, the investigation has.",
        "actions:pending",
        "facts",
        opens=True,
    ),
    Step(
        "Decide",
        "Try it: nothing real is touched here. Approve or reject, with a and r too; a rejection says why. What can do "
        "much harm asks for more: your password, a typed name or a second person.",
        "actions:pending",
        "decide",
        opens=True,
    ),
    Step(
        "What came of it",
        "What was decided stands in History at once, while it runs too. Result says how it ended, and whether that was "
        "read back from the target. Where it can be undone, the last column has the button.",
        "actions:history",
        "rows",
    ),
    Step(
        "Where it came from",
        "An investigation holds the alerts, the evidence with its verdicts, the devices and mailboxes concerned, every "
        "action, and a log of what happened when.",
        "investigations:detail",
        "",
        opens=True,
    ),
    Step(
        "Who may decide, and what runs by itself",
        "Each device group has a level, from None to Full: how much is done without asking. This page is made from the "
        "rules in force and says for every kind of action who decides.",
        "settings:authority",
        "",
    ),
    Step(
        "Stop",
        "Something goes wrong? Stop, in the navigation, at the top on a phone, halts whatever hasn't begun, at once and "
        "without a question; an admin resumes. Help in the navigation explains the page you are on.",
        "home",
        "stop",
    ),
)
