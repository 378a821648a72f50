"""A message taken apart: hostile form becomes text, and what is too much is said to be cut."""

from email.message import EmailMessage

import pytest

from actioncenter.connectors.imap import reading

PAGE = """<html><head><title>x</title><style>a{}</style></head><body onload=alert(1)>
<p>Pay <b>now</b></p><script>steal()</script><img src="http://track.example/1.gif">
<a href="javascript:alert(1)">here</a> &lt;b&gt;</body></html>"""


def letter(text: str = "", page: str = "") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Mallory <mallory@evil.example>"
    message["Subject"] = "=?utf-8?b?0L/Qu9Cw0YLQtdC2?="
    if text:
        message.set_content(text)
        if page:
            message.add_alternative(page, subtype="html")
    else:
        message.set_content(page, subtype="html")
    return message


def test_html_becomes_what_it_says_and_where_it_leads() -> None:
    found = reading.apart(letter(page=PAGE).as_bytes())
    assert found.text == "Pay now\nhere <b>"
    assert found.links == ["http://track.example/1.gif", "javascript:alert(1)"]
    assert not found.cut


def test_plain_text_goes_before_html_and_links_of_both_are_told() -> None:
    found = reading.apart(letter("See https://evil.example/a\n", PAGE).as_bytes())
    assert found.text == "See https://evil.example/a\n"
    assert found.links[-1] == "https://evil.example/a"
    assert ("Subject", "платеж") in found.headers


def test_a_text_that_is_attached_is_no_body() -> None:
    message = letter("Hello\n")
    message.add_attachment("secret", filename="notes.txt")
    found = reading.apart(message.as_bytes())
    assert found.text == "Hello\n"
    assert [(each["name"], each["type"]) for each in found.attachments] == [("notes.txt", "text/plain")]


@pytest.mark.parametrize("limit", ["LONGEST_TEXT", "MOST_HEADERS"])
def test_what_is_cut_says_so(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(reading, limit, 2)
    assert reading.apart(letter("Hello\n").as_bytes()).cut


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"Content-Type: multipart/mixed\n\nno boundary",
        b"Content-Type: text/plain; charset=klingon\n\n\xff",
        b"Subject: =?klingon?q?=FF?=\nContent-Type: text/html\n\n<a href=",
    ],
)
def test_nothing_that_comes_breaks_it(raw: bytes) -> None:
    reading.apart(raw)
