"""Takes pictures of every page in a real browser, as people with different rights see them."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

# A browser of one's own comes first.
PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    "--no-first-run", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


class NoBrowser(Exception):
    """No Chromium on this machine; the text says what to install."""


class View(NamedTuple):
    """Width and height in CSS pixels."""

    name: str
    scheme: Literal["light", "dark"]
    width: int
    height: int


class Stop(NamedTuple):
    """A page: start at `path`, then follow the first link that each selector of `follow` finds."""

    name: str
    path: str
    follow: Sequence[str] = ()
    who: str = "sam"


VIEWS: Final = (
    View("light", "light", 1440, 900),
    View("dark", "dark", 1440, 900),
    View("narrow", "light", 1366, 768),
    View("phone", "light", 390, 844),
)
ROW: Final = "a.row"
PENDING: Final = "/action-center/pending"
HISTORY: Final = "/action-center/history"
INVESTIGATIONS: Final = "/investigations/"
GROUPS: Final = "/settings/groups"
TABS: Final = ("alerts", "devices", "mailboxes", "users", "evidence", "entities", "log", "pending", "history")
STOPS: Final = (
    Stop("sign-in", "/sign-in", who=""),
    Stop("dashboard", "/"),
    Stop("pending", PENDING),
    Stop("pending-open", PENDING, [ROW]),
    Stop("pending-empty", f"{PENDING}?q=nothing-is-called-this"),
    Stop("history", HISTORY),
    Stop("history-open", HISTORY, [ROW]),
    Stop("action", PENDING, [ROW, "a[aria-label='Open as page']"]),
    Stop("investigations", INVESTIGATIONS),
    Stop("investigation", INVESTIGATIONS, [ROW]),
    *(Stop(f"investigation-{tab}", INVESTIGATIONS, [ROW, f".tabs a[href$='tab={tab}']"]) for tab in TABS),
    Stop("groups", GROUPS, who="noa"),
    Stop("group", GROUPS, [".grp-t a[href^='/settings/groups/']"], who="noa"),
    Stop("not-found", "/action-center/actions/999999999"),
)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start the machine's own Chromium.

    Raises NoBrowser.
    """
    names = (os.environ.get("CHROMIUM", ""), *PROGRAMS)
    program = next((found for name in names if name and (found := shutil.which(name))), None)
    if program is None:
        raise NoBrowser("Chromium is not installed: apt install chromium")
    # Chromium refuses its sandbox to root.
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=flags)
        yield started
        started.close()


def photograph(
    started: Browser, base: str, password: str, folder: Path, *, names: Sequence[str] = (), views: Sequence[str] = ()
) -> Iterator[Path]:  # fmt: skip
    """Write one PNG for each page and view, and give its path; `names` and `views` choose some of them."""
    for view in VIEWS:
        if views and view.name not in views:
            continue
        visitors = Visitors(started, base, password, view)
        for stop in STOPS:
            if names and stop.name not in names:
                continue
            page = visitors.page_of(stop.who)
            if walk(page, stop):
                path = folder / f"{stop.name}-{view.name}.png"
                page.screenshot(path=path)
                yield path
        visitors.leave()


class Visitors:
    """One browser window for each person, signed in when first asked for."""

    def __init__(self, started: Browser, base: str, password: str, view: View) -> None:
        self.browser, self.base, self.password, self.view = started, base, password, view
        self.pages: dict[str, Page] = {}

    def page_of(self, username: str) -> Page:
        if username not in self.pages:
            context: BrowserContext = self.browser.new_context(
                base_url=self.base,
                color_scheme=self.view.scheme,
                viewport={"width": self.view.width, "height": self.view.height},
            )
            self.pages[username] = context.new_page()
            if username:
                sign_in(self.pages[username], username, self.password)
        return self.pages[username]

    def leave(self) -> None:
        for page in self.pages.values():
            page.context.close()


def sign_in(page: Page, username: str, password: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def walk(page: Page, stop: Stop) -> bool:
    """Go there and wait until it is drawn; False when a link on the way does not exist."""
    page.goto(stop.path)
    for selector in stop.follow:
        link = page.locator(selector)
        if not link.count():
            return False
        page.goto(link.first.get_attribute("href") or "/")
    page.evaluate("document.fonts.ready")
    return True

