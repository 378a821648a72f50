"""What tests of hostile names look with: a page on which everything that happens is noted, and ways to use it."""

import csv
import io
import json
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page

from actioncenter.accounts.models import User
from actioncenter.actions.enums import ActionType
from actioncenter.web.text import INVISIBLE
from tests import factories
from tests.e2e.hostile_scene import Case, is_altered
from tests.e2e.watching import Watch

PLAIN, PLAIN_ALTERED = "harmless name.exe", "harmless\x00name.exe"
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
CAP = 300
POST = """([path, fields]) => {
  const form = Object.assign(document.createElement("form"), { method: "post", action: path });
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  for (const [name, value] of Object.entries({ csrfmiddlewaretoken: token, ...fields }))
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  document.body.append(form);
  setTimeout(() => form.submit());
}"""


def shown(text: str) -> str:
    """What a reader must see: the middle of a long name goes, what can't be seen is named."""
    text = text if len(text) <= CAP else f"{text[: CAP - CAP // 3 - 1]}…{text[-(CAP // 3) :]}"
    hidden = (unicodedata.category(char) in HIDDEN or char in INVISIBLE for char in text)
    return "".join(f"U+{ord(char):04X}" if named else char for char, named in zip(text, hidden, strict=True))


@dataclass
class World:
    """Findings with hostile names, and one page on which Sam looks at them. Faults are kept by place."""

    base: str
    page: Page
    watch: Watch
    cases: list[Case]
    plain: list[Case]
    shapes: dict[tuple[str, bool], str] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def through(self, page: Page) -> "World":
        """The same, looked at by somebody else."""
        return World(self.base, page, Watch(page, self.base), self.cases, self.plain, self.shapes, self.wrong)

    def blame(self, place: str, *faults: str) -> None:
        if faults:
            self.wrong.setdefault(place, []).extend(faults)

    def look(self, address: str) -> None:
        self.page.goto(address)
        self.blame(address, *self.watch.faults())

    def says(self, selector: str, expected: str) -> None:
        found = self.page.locator(selector).first.text_content() or ""
        if found.strip() != expected.strip():
            self.blame(self.page.url, f"{selector} says {found[:200]!r}, not {expected[:200]!r}")

    def keeps_shape(self, kind: str, case: Case, selector: str = "main") -> None:
        """The first of a kind, a harmless one, is what the others are measured by."""
        key = (kind, is_altered(case.text))
        ours = self.watch.shape(selector)
        if case.text in (PLAIN, PLAIN_ALTERED):
            self.shapes[key] = ours
        elif ours != self.shapes[key]:
            self.blame(
                self.page.url,
                f"{case.text[:60]!r} changed the elements of {kind}: {difference(self.shapes[key], ours)}",
            )


def difference(one: str, other: str) -> str:
    at = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    return f"{one[max(0, at - 60) : at + 60]} / {other[max(0, at - 60) : at + 60]}"


def window(chromium: Browser, base: str, username: str) -> Page:
    client = Client()
    client.force_login(factories.person(username))
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context = chromium.new_context(base_url=base)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": base}])
    # A busy machine is no dead button.
    context.set_default_timeout(120_000)
    return context.new_page()


def decide(case: Case) -> None:
    """By somebody with such a name, who says such things."""
    name, comment = case.stored("person"), case.stored("comment") or "-"
    person = factories.person("mira")
    User.objects.filter(pk=person.pk).update(display_name=name)
    by = User.objects.get(pk=person.pk).actor()
    case.actions[ActionType.STOP_SERVICE].reject(by=by, comment=comment)
    case.actions[ActionType.KILL_PROCESS].approve(by=by, comment=comment)


def download(world: World, address: str) -> dict[int, dict[str, str]]:
    """The rows of a file by number, as a program that is not ours reads them."""
    world.look("/action-center/pending")
    with world.page.expect_download() as coming:
        world.page.evaluate("(to) => { const a = document.createElement('a'); a.href = to; a.download = ''; document.body.append(a); setTimeout(() => a.click()); }", address)  # fmt: skip
    name = coming.value.suggested_filename
    if re.fullmatch(r"(pending|history)-[0-9-]+Z\.(csv|jsonl)", name) is None:
        world.blame(address, f"the file is called {name!r}")
    text = Path(coming.value.path()).read_bytes().decode("utf-8-sig")
    if name.endswith("jsonl"):
        return {row["number"]: row for row in map(json.loads, text.rstrip("\n").split("\n"))}
    heads = {"Number": "number", "Target": "target", "On": "on"}
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    return {int(row["Number"]): {heads[head]: row[head] for head in heads} for row in rows}


def send(world: World, path: str, fields: dict[str, str]) -> None:
    world.look("/action-center/pending")
    world.watch.own.add(path)
    with world.page.expect_navigation():
        world.page.evaluate(POST, [path, {"idempotency_key": uuid4().hex, **fields}])
