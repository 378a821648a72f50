"""Sees what a hostile name does to a page: scripts, dialogs, requests to elsewhere or in the viewer's name,
headers, refusals by the policy.
"""

from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Dialog, Error, Page, Request, Response

from tests.e2e.site import ASSETS

SHAPE = (ASSETS / "hostile.js").read_text(encoding="utf-8")
HOOK = """
window.__ran = [];
window.pwn = (value) => { window.__ran.push(`ran pwn(${value})`); };
document.addEventListener("securitypolicyviolation", (event) => {
  window.__ran.push(`refused ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
LOCAL = frozenset({"about", "data", "blob"})
TRAPS = frozenset({"/pwned", "/sign-out", "/theme"})
"""What some of the names ask the server for, and no test does."""
OURS = frozenset({"session", "csrf", "messages"})
ASKED_FOR = "Failed to load resource: the server responded with a status of 4"


class Watch:
    """Must begin before the page goes anywhere. `home` is the only host that it may ask.

    `own` are the paths that the test itself sends forms to.
    """

    def __init__(self, page: Page, home: str) -> None:
        self.page = page
        self.home = urlsplit(home).netloc
        self.seen: list[str] = []
        self.own: set[str] = set()
        page.add_init_script(HOOK)
        page.on("dialog", self.dialog)
        page.on("request", self.request)
        page.on("response", self.response)
        page.on("console", self.console)
        page.on("pageerror", lambda error: self.seen.append(f"script error: {error}"))

    def dialog(self, dialog: Dialog) -> None:
        self.seen.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.netloc != self.home and parts.scheme not in LOCAL:
            self.seen.append(f"asked {request.url}")
        elif parts.path in TRAPS or (request.method != "GET" and parts.path not in self.own):
            self.seen.append(f"forged {request.method} {parts.path}")

    def response(self, response: Response) -> None:
        """A header that some name has got into."""
        for name, value in response.headers.items():
            plain = value.isascii() and value.replace("\n", "").isprintable()
            if not plain or name in {"hx-redirect", "refresh"}:
                self.seen.append(f"header {name}: {value[:80]!r}")

    def console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(ASKED_FOR):
            self.seen.append(f"console: {message.text}")

    def faults(self) -> list[str]:
        """Since the last question, on the page as it is now."""
        try:
            self.seen += self.page.evaluate("window.__ran.splice(0)")
        except Error as error:
            if "context was destroyed" not in str(error):
                raise
            self.seen.append("left the page by itself")
        for cookie in self.page.context.cookies():
            if cookie["name"] not in OURS or cookie["value"] == "1":
                self.seen.append(f"cookie {cookie['name']}={cookie['value']}")
        found, self.seen = self.seen, []
        return found

    def shape(self, selector: str = "main") -> str:
        return str(self.page.locator(selector).first.evaluate(SHAPE))
