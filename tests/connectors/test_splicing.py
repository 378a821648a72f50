"""One attachment out of a message, and every other byte as it was."""

import base64
import hashlib
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actioncenter.connectors.imap.splicing import MARK, Wish, carried, without

TOOL = b"MZ" + bytes(range(256)) * 20
WISH = Wish(sha256=hashlib.sha256(TOOL).hexdigest())


def letter(*attachments: tuple[str, bytes]) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.org", "Grüße"
    message.set_content("See the file.")
    message.add_alternative("<b>See the file.</b>", subtype="html")
    for name, content in attachments:
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message


def raw(message: EmailMessage) -> bytes:
    return message.as_bytes(policy=SMTP)


def parts(content: bytes) -> "list[Message[str, str]]":
    return [part for part in message_from_bytes(content).walk() if not part.is_multipart()]


def test_every_other_byte_stays() -> None:
    before = raw(letter(("one.txt", b"one"), ("tool.exe", TOOL), ("two.txt", b"two")))
    (part,) = carried(before, WISH)
    after = without(before, [part])
    assert after is not None
    assert after.startswith(before[: part.start])
    assert after.endswith(before[part.end :])
    assert carried(after, WISH) == []
    assert [each.get_payload(decode=True) for each in parts(after)[:3:2]] == [
        each.get_payload(decode=True) for each in parts(before)[:3:2]
    ]
    note = parts(after)[3]
    assert note["Content-Description"] == f"{MARK} {WISH.sha256}"
    assert b"tool.exe" in note.get_payload(decode=True)


@pytest.mark.parametrize(
    "wish",
    [
        WISH,
        Wish(sha1=hashlib.sha1(TOOL, usedforsecurity=False).hexdigest()),
        Wish(name="tool.exe"),
    ],
    ids=["sha256", "sha1", "name"],
)
def test_it_is_known_by_its_hash_else_by_its_name(wish: Wish) -> None:
    content = raw(letter(("tool.exe", TOOL), ("other.exe", b"other")))
    assert [part.name for part in carried(content, wish)] == ["tool.exe"]


def test_a_hash_counts_more_than_a_name() -> None:
    content = raw(letter(("tool.exe", b"harmless")))
    assert carried(content, Wish(sha256=WISH.sha256, name="tool.exe")) == []


def test_it_goes_as_often_as_it_is_there() -> None:
    before = raw(letter(("a.exe", TOOL), ("b.exe", TOOL)))
    after = without(before, carried(before, WISH))
    assert after is not None
    assert carried(after, WISH) == []


def alone() -> bytes:
    body = base64.encodebytes(TOOL).replace(b"\n", b"\r\n")
    head = "Subject: x\r\nContent-Type: application/x-msdownload\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + body


def forwarded() -> bytes:
    message = letter()
    message.add_attachment(letter(("tool.exe", TOOL)))
    return raw(message)


def signed() -> bytes:
    return raw(letter(("tool.exe", TOOL))).replace(b"multipart/mixed", b"multipart/signed")


@pytest.mark.parametrize("content", [alone(), forwarded(), signed()], ids=["alone", "forwarded", "signed"])
def test_what_would_be_harmed_is_found_and_left_whole(content: bytes) -> None:
    found = carried(content, WISH)
    assert found
    assert without(content, found) is None


def test_a_name_of_any_kind_stays_a_name() -> None:
    before = raw(letter(("x.exe", TOOL))).replace(b"x.exe", b"=0D=0A--evil\xe2\x80\xae\x01.exe")
    after = without(before, carried(before, WISH))
    assert after is not None
    assert len(parts(after)) == len(parts(before))


@given(st.binary(max_size=400))
def test_no_nonsense_breaks_it(noise: bytes) -> None:
    content = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + noise
    found = carried(content, WISH)
    assert found == []


@given(st.integers(0, 8000))
def test_cut_off_anywhere_nothing_else_is_touched(length: int) -> None:
    """A message that ends in the middle, or a part that is never closed."""
    before = raw(letter(("tool.exe", TOOL), ("two.txt", b"two")))[:length]
    found = carried(before, WISH)
    after = without(before, found)
    assert after is not None
    for part in found:
        assert before[: part.start] == after[: part.start]
