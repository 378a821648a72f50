"""Finds in a template what the content security policy can't see, or kills without telling anyone."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

# Template syntax is replaced by one private character each, so that the rest is plain HTML.
CONTROL, VARIABLE, ADDRESS, TOKEN = "\ue000\ue001\ue002\ue003"
ADDRESS_TAGS = frozenset({"url", "static", "querystring"})
FLOW_TAGS = frozenset({"if", "elif", "else", "endif"})
ELEMENT = re.compile(r"""<([a-zA-Z][\w-]*)((?:"[^"]*"|'[^']*'|[^'"<>])*)>""")
ATTRIBUTE = re.compile(r"""([@:\w.-]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'<>]+))?""")
SILENT = "blocked by the policy without a word to the user"


class Attribute(NamedTuple):
    """`value` is None where there is no equals sign; `raw` still has its quotes."""

    name: str
    raw: str | None

    @property
    def value(self) -> str:
        return (self.raw or "").strip("\"'")


def findings(text: str) -> list[str]:
    """Return what is wrong, one sentence each."""
    text = re.sub(r"\{#.*?#\}|\{% comment.*?endcomment %\}|<!--.*?-->", "", text, flags=re.DOTALL)
    found = [message for pattern, message in FORBIDDEN if re.search(pattern, text)]
    plain = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", _stand_in, text, flags=re.DOTALL)
    for element in ELEMENT.finditer(plain):
        attributes = [Attribute(name.lower(), raw or None) for name, raw in ATTRIBUTE.findall(element[2])]
        found += (f"<{element[1]}> {message}" for message in _element(element[1].lower(), attributes))
    return found


FORBIDDEN = [
    (r"\|\s*safe(seq)?\b", "|safe: text from outside would become markup"),
    (r"\{%\s*autoescape\s+off", "autoescape off: text from outside would become markup"),
    (r"<style\b", f"<style>: {SILENT}"),
    (r"<script\b(?![^>]*\bsrc=)", f"inline <script>: {SILENT}"),
    (r"(?i)javascript:", "javascript: address"),
]


def _stand_in(match: re.Match[str]) -> str:
    inside = match[0][2:-2].strip()
    if match[0].startswith("{{"):
        return TOKEN if inside == "csrf_token" else VARIABLE
    name = inside.split()[0]
    if name in ADDRESS_TAGS:
        return ADDRESS
    return CONTROL if name in FLOW_TAGS else VARIABLE


def _element(tag: str, attributes: list[Attribute]) -> Iterator[str]:
    names = {attribute.name for attribute in attributes}
    if tag == "button" and "type" not in names:
        yield "has no type: it would submit a form twice"
    for attribute in attributes:
        if attribute.raw is not None and attribute.raw[0] not in "\"'":
            yield f"{attribute.name}: value without quotes"
        for applies, message in RULES:
            if applies(attribute):
                yield f"{attribute.name}: {message}"


def _htmx(attribute: Attribute) -> str:
    """Return the htmx attribute's name without prefix and modifiers; empty for any other."""
    name = attribute.name.removeprefix("data-")
    return name.removeprefix("hx-").split(":")[0] if name.startswith("hx-") else ""


RULES: list[tuple[Callable[[Attribute], bool], str]] = [
    (lambda it: it.name == "style", SILENT),
    (lambda it: it.name.startswith("on"), SILENT),
    (lambda it: _htmx(it) == "on", SILENT),
    (
        lambda it: _htmx(it) in {"vals", "confirm"},
        "a value starting with js: would be run; use fields and pages",
    ),
    (lambda it: _htmx(it) == "trigger" and "[" in it.value, f"filter in brackets: {SILENT}"),
    # The poll's tag is a digest of our own making.
    (
        lambda it: _htmx(it) not in {"", "ptag"} and VARIABLE in it.value,
        "htmx attributes carry addresses, never data",
    ),
    (lambda it: TOKEN in it.value and _htmx(it) not in {"headers", ""}, "the token belongs into hx-headers"),
]
