"""Text from outside: nothing hidden stays hidden, nothing becomes markup, the end of a name stays."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.template import Context, Template
from django.utils.safestring import SafeString
from hypothesis import given
from hypothesis import strategies as st

from actioncenter.web import text as texts
from actioncenter.web.templatetags import ac

NOW = datetime(2026, 11, 23, 14, 31, 7, tzinfo=UTC)

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    "js:alert(1)",
    "{{ settings.SECRET_KEY }}{% load ac %}",
    "</bdi></td></tr>",
    "invoice\u202efdp.exe",
    "a\x00b\r\nSet-Cookie: x",
    "\x1b[31mred",
    "pay\u200bpal\u00ad.example",
    "\ud800lone",
    "A" * 20_000,
    "فاتورة.exe",
    "請求書.pdf.exe",
]


def shown(html: str) -> str:
    """What a person reads: tags off, entities resolved."""
    return unescape(re.sub(r"<[^>]*>", "", html))


def rendered(source: str, **context: object) -> str:
    return Template("{% load ac %}" + source).render(Context(context))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "filtered", [ac.visible, lambda text: ac.visible(text, "lines"), ac.named, ac.defang]
)
def test_hostile_text_stays_text(filtered: object, text: str) -> None:
    html = filtered(text)  # type: ignore[operator]

    assert isinstance(html, SafeString)
    assert set(re.findall(r"<\s*/?\s*([a-zA-Z]+)", html)) <= {"bdi", "span", "br"}
    assert not any(texts.is_hidden(char) for char in shown(html))


@given(st.text(max_size=400))
def test_no_character_is_invisible_and_no_markup_is_added(text: str) -> None:
    html = ac.visible(text)

    assert not any(texts.is_hidden(char) for char in html)
    assert re.sub(r"</?bdi>|</?span( class=\"mark\")?>", "", html).count("<") == 0


@pytest.mark.parametrize("code", [0x00, 0x09, 0x0A, 0x7F, 0xAD, 0x115F, 0x200B, 0x200E, 0x202E, 0x2028, 0x2066, 0x3164, 0xD800,
                                  0xE000, 0xE0041, 0x10FFFF])  # fmt: skip
def test_hidden_characters_are_named(code: int) -> None:
    assert f'<span class="mark">U+{code:04X}</span>' in ac.visible(f"a{chr(code)}b")


@pytest.mark.parametrize("text", ["plain.exe", "a b", "Größe 5 €", "請求書", "фото.jpg", "😀", "e\u0301"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert ac.visible(text) == f"<bdi>{text}</bdi>"


def test_long_text_keeps_its_end() -> None:
    text = "x" * 1000 + ".pdf.exe"

    assert len(texts.capped(text)) == texts.CAP
    assert texts.capped(text).endswith(".pdf.exe")
    assert "…" in texts.capped(text)


def test_cap_counts_before_marking_so_marks_are_never_cut() -> None:
    html = ac.visible("\u202e" * 5000)

    assert html.count("U+202E") == texts.CAP - 1


@pytest.mark.parametrize(
    ("name", "tail"),
    [
        ("Quarterly_Forecast_FY2026[2].xlsm.exe", "[2].xlsm.exe"),
        (r"C:\Windows\System32\svchost_update.exe", r"\svchost_update.exe"),
        ("/usr/lib/x86_64-linux-gnu/a.so", "/a.so"),
        ("short.dll", ""),
        ("فاتورة_نهائية_للدفع.exe", ""),
        ("C:\\" + "d" * 60, "d" * 12),
    ],
)
def test_cut_keeps_what_tells_the_kind(name: str, tail: str) -> None:
    head, end = texts.cut(name)

    assert end == tail
    assert head + end == name


def test_cut_leaves_something_of_the_beginning() -> None:
    assert texts.cut("invoice_9.exe") == ("invo", "ice_9.exe")


def test_cut_never_parts_a_letter_from_its_accent() -> None:
    _, tail = texts.cut("x" * 20 + "e" + "\u0301" + "y" * 11)

    assert not unicodedata.combining(tail[0])


def test_name_shows_our_own_words_instead_of_the_end() -> None:
    html = ac.named("Your parcel is held at customs", "· 312 messages")

    assert '<bdi class="h">Your parcel is held at customs</bdi>' in html
    assert '<span class="t x"> · 312 messages</span>' in html


def test_title_says_hidden_characters_in_words() -> None:
    assert 'title="invoice[U+202E]fdp.exe"' in ac.named("invoice\u202efdp.exe")
    assert ac.plain("a\x00b") == "a[U+0000]b"


def test_comment_keeps_its_lines_and_a_name_does_not() -> None:
    assert ac.visible("one\ntwo", "lines") == "<bdi>one</bdi><br><bdi>two</bdi>"
    assert "U+000A" in ac.visible("one\ntwo")


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=-5), "0m"),
        (timedelta(seconds=59), "0m"),
        (timedelta(minutes=42), "42m"),
        (timedelta(minutes=60), "1h"),
        (timedelta(hours=47, minutes=59), "47h"),
        (timedelta(hours=48), "2d"),
        (timedelta(days=6, hours=23), "6d"),
    ],
)
def test_age(span: timedelta, text: str) -> None:
    assert texts.short_age(span) == text


def test_age_of_a_moment_serves_past_and_future() -> None:
    assert texts.age_of(NOW - timedelta(minutes=5), NOW) == "5m"
    assert texts.age_of(NOW + timedelta(hours=5), NOW) == "5h"
    assert ac.age(None) == "–"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://evil.example/a.b?c=d.e", "hxxps://evil[.]example/a.b?c=d.e"),
        ("HTTP://1.2.3.4", "hxxp://1[.]2[.]3[.]4"),
        ("evil.example/x", "evil[.]example/x"),
        ("ftp://a.b/c", "ftp://a[.]b/c"),
        ("", ""),
    ],
)
def test_defang(url: str, safe: str) -> None:
    assert texts.defanged(url) == safe


def test_time_carries_utc() -> None:
    html = ac.utc("15:31", "2026-11-23T15:31:07+01:00")

    assert html == '<time datetime="2026-11-23T14:31:07+00:00" title="2026-11-23 14:31:07 UTC">15:31</time>'
    assert ac.utc("15:31") == "<span>15:31</span>"
    assert ac.utc("") == "–"


@pytest.mark.parametrize("code", sorted(ac.STATES))
def test_state_is_a_shape_and_a_word(code: str) -> None:
    html = ac.state(code, "A <word>")

    assert f"#{ac.STATES[code][1]}" in html
    assert "A &lt;word&gt;" in html


def test_unknown_code_still_shows_its_word() -> None:
    assert "Quite new" in ac.state("quite_new", "Quite new")
    assert "Quite new" in ac.verdict("quite_new", "Quite new")


@pytest.mark.parametrize("filled", range(5))
def test_level_fills_as_many_bars(filled: int) -> None:
    html = ac.level(filled)

    assert html.count("<b") == 4 + html.count("<bdi")
    assert html.count('class="f"') == filled


def test_chips_find_their_field() -> None:
    chips = [{"name": "verdict", "label": "Verdict"}, {"name": "device", "label": "Device"}]

    assert rendered("{{ chips|chip_for:'verdict' }}", chips=chips) == rendered("{{ chip }}", chip=chips[0])
    assert ac.without_field(chips, ["verdict"]) == [chips[1]]
    assert ac.chip_for(None, "verdict") is None
