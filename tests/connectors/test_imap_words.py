"""What goes over the wire and comes back, whatever a server or a user makes of it."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actioncenter.connectors.imap.names import quoted, shown, uid_set, uids_of, wired
from actioncenter.connectors.imap.wire import Lost, Wire, text

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize(
    ("name", "on_the_wire"),
    [
        ("INBOX", "INBOX"),
        ("Entwürfe", "Entw&APw-rfe"),
        ("R&D", "R&-D"),
        ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ],
)
def test_names_are_modified_utf_7(name: str, on_the_wire: str) -> None:
    """The last of them is the example of RFC 3501 §5.1.3."""
    assert wired(name) == on_the_wire
    assert shown(on_the_wire) == name


@given(NAMES)
def test_every_name_comes_back(name: str) -> None:
    assert shown(wired(name)) == name
    assert wired(name).isascii()


@given(st.text(max_size=20))
def test_no_string_breaks_out_of_its_command(said: str) -> None:
    written = quoted(said)
    if written is None:
        assert isinstance(text(said), bytes), "it goes as a literal, of which the length is told"
    else:
        assert b"\r" not in written
        assert b"\n" not in written
        assert not written.startswith(b'"') or b'"' not in written[1:-1].replace(b"\\\\", b"").replace(
            b'\\"', b""
        )


@given(st.lists(st.integers(1, 60), min_size=1))
def test_sets_of_numbers(uids: list[int]) -> None:
    assert uids_of(uid_set(uids)) == sorted(set(uids))


def test_pairs_of_copyuid_may_run_backwards() -> None:
    assert uids_of("7,3:1") == [7, 3, 2, 1]


@pytest.fixture
def line() -> Iterator[tuple[Wire, socket.socket]]:
    here, there = socket.socketpair()
    here.settimeout(2)
    wire = Wire(here)
    yield wire, there
    wire.close()
    there.close()


def answered(line: tuple[Wire, socket.socket], said: bytes) -> object:
    wire, server = line
    tag = wire.send("NOOP")
    server.sendall(said)
    return wire.answer(tag).data


def test_answers_are_taken_apart(line: tuple[Wire, socket.socket]) -> None:
    said = (
        b'* 1 FETCH (UID 7 FLAGS (\\Seen $Phish) X-GUID "a \\"b\\"" BODY[HEADER.FIELDS (FROM)] {5}\r\n'
        b"a(b\r\n X NIL)\r\na1 OK done\r\n"
    )
    body = [
        "UID",
        "7",
        "FLAGS",
        ["\\Seen", "$Phish"],
        "X-GUID",
        b'a "b"',
        "BODY[HEADER.FIELDS (FROM)]",
        b"a(b\r\n",
    ]
    assert answered(line, said) == [["1", "FETCH", [*body, "X", None]]]


@pytest.mark.parametrize(
    "said",
    [
        b"* 1 FETCH (UID 7))\r\na1 OK\r\n",
        b"a2 OK done\r\n",
        b"* BYE Going down\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"* 1 FETCH (BODY[] {999999999999}\r\n",
        b'* 1 FETCH ("unended\r\na1 OK\r\n',
        b"\x00\xff\r\n",
        b"",
    ],
)
def test_nonsense_is_a_lost_line_and_nothing_else(line: tuple[Wire, socket.socket], said: bytes) -> None:
    wire, server = line
    tag = wire.send("NOOP")
    server.sendall(said)
    server.shutdown(socket.SHUT_WR)
    with pytest.raises(Lost):
        wire.answer(tag)
