"""Tags and filters every page uses. Each returns escaped text; none trusts its argument."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from uuid import uuid4

from django import template
from django.http import HttpRequest
from django.template import RequestContext
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from actioncenter.web import text as texts

register = template.Library()

VERDICTS: Mapping[str, tuple[str, str]] = {
    "malicious": ("mal", "v-mal"),
    "suspicious": ("sus", "v-sus"),
    "clean": ("cln", "v-cln"),
    "unknown": ("unk", "v-unk"),
    "odd": ("odd", "s-odd"),
}
STATES: Mapping[str, tuple[str, str]] = {
    "succeeded": ("cln", "s-ok"),
    "done": ("cln", "s-ok"),
    "remediated": ("cln", "s-ok"),
    "approved": ("cln", "check"),
    "already": ("mut", "v-cln"),
    "gone": ("mut", "s-rej"),
    "clean": ("cln", "v-cln"),
    "partly_succeeded": ("sus", "s-part"),
    "partly": ("sus", "s-part"),
    "failed": ("mal", "s-fail"),
    "running": ("run", "s-run"),
    "active": ("run", "s-run"),
    "queued": ("mut", "s-queued"),
    "waiting": ("mut", "s-pending"),
    "outcome_unknown": ("odd", "s-odd"),
    "rejected": ("mut", "s-rej"),
    "withdrawn": ("mut", "s-rej"),
    "cancelled": ("mut", "s-rej"),
    "stopped": ("mut", "s-rej"),
    "denied": ("mut", "lock"),
    "conflict": ("sus", "users"),
    "changed": ("sus", "warn"),
    "expired": ("mut", "s-exp"),
    "timed_out": ("mal", "s-exp"),
    "undone": ("mut", "s-undone"),
    "none": ("mut", "v-unk"),
}
SEVERITIES: Mapping[str, tuple[str, str]] = {
    "critical": ("mal", "v-mal"),
    "high": ("mal", "v-sus"),
    "medium": ("sus", "v-sus"),
    "low": ("mut", "info"),
    "info": ("mut", "info"),
    "unknown": ("unk", "v-unk"),
    # how loud a notice is
    "urgent": ("mal", "v-mal"),
    "warning": ("sus", "v-sus"),
}
NO_SHAPE = ("mut", "v-unk")


@lru_cache(maxsize=512)
def drawn(name: str, css: str) -> SafeString:
    return format_html(
        '<svg class="{}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>',
        css,
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def icon(name: str, css: str = "i") -> SafeString:
    """Decoration only: what it says must also stand in words."""
    return drawn(name, css) if name else SafeString()


@lru_cache(maxsize=2048)
def shaped(shape: tuple[str, str], label: str) -> SafeString:
    css, name = shape
    return format_html(
        '<span class="vd {}">{}<span>{}</span></span>', css, drawn(name, "i"), texts.marked(label)
    )


@register.simple_tag
def verdict(code: str, label: str) -> SafeString:
    return shaped(VERDICTS.get(code, NO_SHAPE), label)


@register.simple_tag
def state(code: str, label: str) -> SafeString:
    """State of an action, target, investigation or bulk row: shape and word."""
    return shaped(STATES.get(code, NO_SHAPE), label)


@register.simple_tag
def severity(code: str, label: str) -> SafeString:
    return shaped(SEVERITIES.get(code, NO_SHAPE), label)


@register.simple_tag
@lru_cache(maxsize=8)
def level(code: int | None) -> SafeString:
    """Four bars, filled = how much runs by itself. The word stands beside it."""
    bars = format_html_join(
        "", "<b{}></b>", ((SafeString(' class="f"') if at < (code or 0) else "",) for at in range(4))
    )
    return format_html('<span class="lvl" aria-hidden="true">{}</span>', bars)


@register.filter
def visible(value: object, mode: str = "") -> SafeString:
    """Text from outside, isolated and capped; with "lines" its line breaks stay (comments)."""
    text = texts.capped("" if value is None else str(value), 4000 if mode == "lines" else texts.CAP)
    if mode != "lines":
        return format_html("<bdi>{}</bdi>", texts.marked(text))
    lines = text.replace("\r\n", "\n").split("\n")
    return format_html_join(SafeString("<br>"), "<bdi>{}</bdi>", ((texts.marked(line),) for line in lines))


@register.filter
def plain(value: object) -> str:
    """For attributes: hidden characters as [U+202E]; autoescape does the rest."""
    return texts.in_plain_text("" if value is None else str(value))


@register.simple_tag
def named(value: object, extra: str = "") -> SafeString:
    """A name that shrinks at its head and keeps its end; `extra` (our own words) takes the place of the end."""
    text = texts.capped("" if value is None else str(value))
    head, tail = (text, "") if extra else texts.cut(text)
    end = format_html('<span class="t x">{}</span>', f" {extra}") if extra else ""
    if tail:
        end = format_html('<bdi class="t">{}</bdi>', texts.marked(tail))
    return format_html(
        '<span class="mid" title="{}"><bdi class="h">{}</bdi>{}</span>',
        texts.in_plain_text(f"{text} {extra}" if extra else text),
        texts.marked(head),
        end,
    )


@register.filter
def age(moment: datetime | None) -> str:
    return texts.age_of(moment) if moment else "–"


@register.filter
def defang(url: object) -> SafeString:
    return visible(texts.defanged(str(url)))


@register.simple_tag
def utc(shown: str, iso: str | datetime = "") -> SafeString:
    """A time as the person reads it, UTC on hover."""
    if not shown:
        return SafeString("–")
    if not iso:
        return format_html("<span>{}</span>", shown)
    moment = iso if isinstance(iso, datetime) else datetime.fromisoformat(iso)
    moment = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        shown,
    )


@register.filter
def thousands(number: int) -> str:
    """4871 as 4,871."""
    return f"{number:,}"


def section_of(path: str) -> str:
    """The first part of a path, or what of it has an entry of its own."""
    own = next((prefix for prefix in SECTIONS if path.startswith(prefix)), "")
    return own or path.split("/")[1]


SECTIONS = ("/action-center/handover", "/action-center/reviews")


@register.simple_tag(takes_context=True)
def nav_link(
    context: RequestContext, url: str, picture: str, label: str, count: int | None = None
) -> SafeString:
    """A navigation entry; current when the page lies in the same section."""
    request: HttpRequest | None = context.get("request")
    here = request is not None and section_of(request.path) == section_of(url)
    return format_html(
        '<a class="nav-a{}" href="{}"{}>{}{}{}</a>',
        " on" if here else "",
        url,
        SafeString(' aria-current="page"') if here else "",
        drawn(picture, "i"),
        label,
        format_html('<span class="n">{}</span>', thousands(count)) if count is not None else "",
    )


@register.simple_tag
def form_key() -> SafeString:
    """For every form that changes something: sent twice, it is done and answered once."""
    return format_html('<input type="hidden" name="idempotency_key" value="{}">', uuid4().hex)


@register.filter
def chip_for(chips: Iterable[Mapping[str, str]] | None, name: str) -> Mapping[str, str] | None:
    """The active filter chip of a form field, if it has one."""
    return next((chip for chip in chips or () if chip["name"] == name), None)


@register.filter
def without_field(chips: Iterable[Mapping[str, str]] | None, names: Iterable[str]) -> list[Mapping[str, str]]:
    """Chips that no visible form field stands for."""
    known = set(names)
    return [chip for chip in chips or () if chip["name"] not in known]


@register.filter
def item(mapping: Mapping[str, object] | None, key: str) -> object:
    """A lookup by a key that is itself a variable; '' when absent."""
    return (mapping or {}).get(key, "")
