"""Every page of the demo, and pictures of it, in a real browser."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

# A browser of one's own comes first.
PROGRAMS: Final = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    "--no-first-run", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


class NoBrowser(Exception):
    """No Chromium on this machine; the text says what to install."""


class NotThere(Exception):
    """No link on the way leads to the page, or the server failed to draw it."""


class View(NamedTuple):
    """Width and height in CSS pixels."""

    name: str
    scheme: Literal["light", "dark"]
    width: int
    height: int


class Stop(NamedTuple):
    """A page: begin at `path`, then follow links by selector until one leads to the end."""

    name: str
    route: str
    path: str
    follow: Sequence[str] = ()
    who: str = "sam"


VIEWS: Final = (
    View("light", "light", 1440, 900),
    View("dark", "dark", 1440, 900),
    View("narrow", "light", 1366, 768),
    View("phone", "light", 390, 844),
)
PENDING: Final = "/action-center/pending"
HISTORY: Final = "/action-center/history"
INVESTIGATIONS: Final = "/investigations/"
EXPLORER: Final = "/email/explorer"
FOUND: Final = "a[href^='/email/explorer/']"
GROUPS: Final = "/settings/groups"
HANDOVERS: Final = "/action-center/handover"
RULES: Final = "/settings/rules"
AUDIT: Final = "/audit/events"
REPORTS: Final = "/audit/reports"
ROW: Final = "a.row"
WAITS: Final = "tr:has(.c-exp time) a.row"
ODD: Final = "tr:has(.c-ver .odd) a.row"
UNDOABLE: Final = ".c-und2 a[data-open]"
AS_PAGE: Final = "a[aria-label='Open as page']"
DEVICE: Final = (ROW, ".tabs a[href$='tab=devices']", "a[href^='/devices/']:not([href='/devices/'])")
FILE: Final = (ROW, ".tabs a[href$='tab=evidence']", "a[href^='/files/']")
MAILBOX: Final = (ROW, ".tabs a[href$='tab=mailboxes']", "a[href^='/mailboxes/']")
MESSAGE: Final = (FOUND, ROW, "a[href^='/email/'][href*='/messages/']", "a[href^='/messages/']")
TABS: Final = ("alerts", "devices", "mailboxes", "users", "evidence", "entities", "log", "pending", "history")
STOPS: Final = (
    Stop("sign-in", "sign_in", "/sign-in", who=""),
    Stop("dashboard", "home", "/"),
    Stop("pending", "actions:pending", PENDING),
    Stop("pending-open", "actions:pending", PENDING, [WAITS]),
    Stop("pending-odd", "actions:pending", PENDING, [ODD]),
    Stop("pending-empty", "actions:pending", f"{PENDING}?q=nothing-is-called-this"),
    Stop("history", "actions:history", HISTORY),
    Stop("history-open", "actions:history", HISTORY, [UNDOABLE]),
    Stop("action", "actions:detail", PENDING, [WAITS, AS_PAGE]),
    Stop("action-ended", "actions:detail", HISTORY, [UNDOABLE, AS_PAGE]),
    Stop("targets", "actions:targets", f"{HISTORY}?type=soft_delete", [ROW, "a[href$='/targets']"]),
    Stop("investigations", "investigations:list", INVESTIGATIONS),
    Stop("investigation", "investigations:detail", INVESTIGATIONS, [ROW]),
    *(
        Stop(f"investigation-{tab}", "investigations:detail", INVESTIGATIONS, [ROW, f".tabs a[href$='tab={tab}']"])
        for tab in TABS
    ),
    Stop("devices", "investigations:devices", "/devices/"),
    Stop("device", "investigations:device", INVESTIGATIONS, DEVICE),
    Stop("act", "investigations:act", INVESTIGATIONS, [*DEVICE, "a[href$='/isolate']"]),
    Stop("file", "investigations:file", INVESTIGATIONS, FILE),
    Stop("act-on-file", "investigations:act_on_file", INVESTIGATIONS, [*FILE, "a[href*='quarantine_file?all=']"]),
    Stop("mailbox", "investigations:mailbox", INVESTIGATIONS, MAILBOX),
    Stop("act-on-mailbox", "investigations:act_on_mailbox", INVESTIGATIONS, [*MAILBOX, "a[href$='/forwarding_off']"]),
    Stop("message", "investigations:message", EXPLORER, MESSAGE),
    Stop("act-on-message", "investigations:act_on_message", EXPLORER, [*MESSAGE, "a[href*='?all=on']"]),
    Stop("explorer", "actions:explorer", EXPLORER),
    Stop("mail-search", "actions:mail_search", EXPLORER, [FOUND]),
    Stop("mail-cluster", "actions:mail_search", EXPLORER, [FOUND, ROW]),
    Stop("mail-message", "actions:mail_message", EXPLORER, [FOUND, ROW, "a[href*='/messages/']"]),
    Stop("act-on-mail", "actions:act_on_mail", EXPLORER, [FOUND, ROW, "a[href*='/act?do=']"]),
    Stop("assign", "actions:assign", PENDING, [WAITS, AS_PAGE, "a[href$='/assign']"]),
    Stop("edit", "actions:edit", PENDING, [ROW, AS_PAGE, "a[href$='/edit']"], who="mira"),
    Stop("handovers", "actions:handovers", HANDOVERS),
    Stop("handover", "actions:handover", HANDOVERS, [".lines a"]),
    Stop("reviews", "actions:reviews", "/action-center/reviews"),
    Stop("reports", "actions:reports", "/reports/"),
    Stop("reports-people", "actions:reports", "/reports/?by=person&since=year", who="noa"),
    Stop("reports-empty", "actions:reports", "/reports/?first=2001-01-01&last=2001-01-31"),
    Stop("columns", "actions:columns", "/action-center/pending/columns"),
    Stop("saved-views", "actions:saved_views", "/action-center/views"),
    Stop("notices", "notices", "/notices"),
    Stop("preferences", "preferences", "/preferences"),
    Stop("confirm-identity", "confirm_identity", "/confirm-identity"),
    Stop("authority", "settings:authority", "/settings/authority"),
    Stop("groups", "settings:groups", GROUPS, who="noa"),
    Stop("group", "settings:group", GROUPS, [ROW], who="noa"),
    Stop("rules", "settings:rules", RULES, who="noa"),
    Stop("rule", "settings:rule", RULES, [ROW], who="noa"),
    Stop("rule-read", "settings:rule", RULES, [ROW]),
    Stop("safeguards", "settings:safeguards", "/settings/safeguards", who="noa"),
    Stop("connectors", "settings:connectors", "/settings/connectors", who="noa"),
    Stop("connector", "settings:connector", "/settings/connectors", [".card h2 a"], who="noa"),
    Stop("connector-add", "settings:add_connector", "/settings/connectors/add/imap", who="noa"),
    Stop("connector-edit", "settings:edit_connector", "/settings/connectors", [".card h2 a", "a[href$='/edit']"], who="noa"),
    Stop("streams", "settings:streams", "/settings/streams", who="noa"),
    Stop("stream-add", "settings:add_stream", "/settings/streams/add", who="noa"),
    Stop("feeds", "feeds:overview", "/settings/feeds", who="noa"),
    Stop("clicks", "feeds:clicks", "/settings/feeds/clicks", who="noa"),
    Stop("health", "ops:health", "/settings/health", who="noa"),
    Stop("stops", "settings:stops", "/settings/stops", who="noa"),
    Stop("audit", "auditor:events", AUDIT, who="ivo"),
    Stop("audit-empty", "auditor:events", f"{AUDIT}?q=nothing-is-called-this", who="ivo"),
    Stop("audit-event", "auditor:event", AUDIT, [ROW], who="ivo"),
    Stop("audit-story", "auditor:story", HISTORY, [UNDOABLE, "a[href^='/audit/actions/']"], who="ivo"),
    Stop("audit-views", "auditor:looks", "/audit/views", who="ivo"),
    Stop("audit-verification", "auditor:verification", "/audit/verification", who="ivo"),
    Stop("retention", "auditor:retention", "/audit/retention", who="noa"),
    Stop("audit-reports", "auditor:reports", REPORTS, who="ivo"),
    Stop("audit-report", "auditor:report", REPORTS, [".brief li > span a"], who="ivo"),
    Stop("help", "guide:index", "/help/"),
    Stop("help-analyst", "guide:document", "/help/analyst"),
    # Of somebody whom no other page is asked of: the tour stays with the browser.
    Stop("tour", "actions:pending", "/tour/3", who="jonas"),
    Stop("not-found", "actions:detail", "/action-center/actions/999999999"),
)  # fmt: skip


LINKS: Final = """([text, selector]) =>
  [...new DOMParser().parseFromString(text, "text/html").querySelectorAll(selector)].map((link) => link.getAttribute("href"))"""


@contextmanager
def browser() -> Iterator[Browser]:
    """Start the machine's own Chromium.

    Raises NoBrowser.
    """
    program = next((found for name in PROGRAMS if name and (found := shutil.which(name))), None)
    if program is None:
        raise NoBrowser("Chromium is not installed: apt install chromium")
    # Chromium refuses its sandbox to root.
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=flags)
        yield started
        started.close()


def photograph(started: Browser, base: str, password: str, folder: Path, stops: Sequence[Stop], views: Sequence[View]) -> Iterator[Path]:  # fmt: skip
    """Write one PNG for each page and view, and give its path.

    Raises NotThere.
    """
    guide = Guide()
    for view in views:
        visitors = Visitors(started, base, password, view)
        for stop in stops:
            page = visitors.page_of(stop.who)
            answer = page.goto(guide.address(page, stop))
            if answer is None or answer.status >= 500:
                raise NotThere(f"The server failed to draw {stop.name}.")
            page.evaluate("document.fonts.ready")
            path = folder / f"{stop.name}-{view.name}.png"
            page.screenshot(path=path)
            yield path
        visitors.leave()


class Guide:
    """Finds the way to each page once."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def address(self, page: Page, stop: Stop) -> str:
        """Raises NotThere."""
        if stop.name not in self.known:
            found = reach(page, stop.path, stop.follow)
            if found is None:
                raise NotThere(f"No link leads to {stop.name} from {stop.path}.")
            self.known[stop.name] = found
        return self.known[stop.name]


def reach(page: Page, path: str, follow: Sequence[str]) -> str | None:
    """Every link is tried in turn: not each investigation has each tab."""
    if not follow:
        return path
    # Only read, not drawn: there may be dozens to try.
    links: list[str] = page.evaluate(LINKS, [page.request.get(path).text(), follow[0]])
    return next((end for link in links if (end := reach(page, link, follow[1:]))), None)


class Visitors:
    """One browser window for each person, signed in when first asked for."""

    def __init__(self, started: Browser, base: str, password: str, view: View) -> None:
        self.browser, self.base, self.password, self.view = started, base, password, view
        self.pages: dict[str, Page] = {}

    def page_of(self, username: str) -> Page:
        """With an empty name, of somebody who is not signed in."""
        if username not in self.pages:
            self.pages[username] = self.open()
            if username:
                sign_in(self.pages[username], username, self.password)
        return self.pages[username]

    def open(self) -> Page:
        context = self.browser.new_context(
            base_url=self.base,
            color_scheme=self.view.scheme,
            viewport={"width": self.view.width, "height": self.view.height},
        )
        return context.new_page()

    def leave(self) -> None:
        for page in self.pages.values():
            page.context.close()
        self.pages.clear()


def sign_in(page: Page, username: str, password: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
