"""One spelling for each URL: the published examples of Safe Browsing, and what browsers read besides."""

import random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actioncenter.feeds.canonical import LONGEST, NotAnAddress, digest, read
from actioncenter.feeds.enums import EntryKind

PUBLISHED: list[tuple[str | bytes, str]] = [
    ("http://host/%25%32%35", "http://host/%25"),
    ("http://host/%25%32%35%25%32%35", "http://host/%25%25"),
    ("http://host/%2525252525252525", "http://host/%25"),
    ("http://host/asdf%25%32%35asd", "http://host/asdf%25asd"),
    ("http://host/%%%25%32%35asd%%", "http://host/%25%25%25asd%25%25"),
    ("http://www.google.com/", "http://www.google.com/"),
    (
        "http://%31%36%38%2e%31%38%38%2e%39%39%2e%32%36/%2E%73%65%63%75%72%65/%77%77%77%2E%65%62%61%79%2E%63%6F%6D/",
        "http://168.188.99.26/.secure/www.ebay.com/",
    ),
    (
        "http://195.127.0.11/uploads/%20%20%20%20/.verify/.eBaysecure=updateuserdataxplimnbqmn-xplmvalidateinfoswqpcmlx=hgplmcx/",
        "http://195.127.0.11/uploads/%20%20%20%20/.verify/.eBaysecure=updateuserdataxplimnbqmn-xplmvalidateinfoswqpcmlx=hgplmcx/",
    ),
    (
        "http://host%23.com/%257Ea%2521b%2540c%2523d%2524e%25f%255E00%252611%252A22%252833%252944_55%252B",
        "http://host%23.com/~a!b@c%23d$e%25f^00&11*22(33)44_55+",
    ),
    ("http://3279880203/blah", "http://195.127.0.11/blah"),
    ("http://www.google.com/blah/..", "http://www.google.com/"),
    ("www.google.com/", "http://www.google.com/"),
    ("www.google.com", "http://www.google.com/"),
    ("http://www.evil.com/blah#frag", "http://www.evil.com/blah"),
    ("http://www.GOOgle.com/", "http://www.google.com/"),
    ("http://www.google.com.../", "http://www.google.com/"),
    ("http://www.google.com/foo\tbar\rbaz\n2", "http://www.google.com/foobarbaz2"),
    ("http://www.google.com/q?", "http://www.google.com/q?"),
    ("http://www.google.com/q?r?", "http://www.google.com/q?r?"),
    ("http://www.google.com/q?r?s", "http://www.google.com/q?r?s"),
    ("http://evil.com/foo#bar#baz", "http://evil.com/foo"),
    ("http://evil.com/foo;", "http://evil.com/foo;"),
    ("http://evil.com/foo?bar;", "http://evil.com/foo?bar;"),
    (b"http://\x01\x80.com/", "http://%01%80.com/"),
    ("http://notrailingslash.com", "http://notrailingslash.com/"),
    ("http://www.gotaport.com:1234/", "http://www.gotaport.com/"),
    ("  http://www.google.com/  ", "http://www.google.com/"),
    ("http:// leadingspace.com/", "http://%20leadingspace.com/"),
    ("http://%20leadingspace.com/", "http://%20leadingspace.com/"),
    ("%20leadingspace.com/", "http://%20leadingspace.com/"),
    ("https://www.securesite.com/", "https://www.securesite.com/"),
    ("http://host.com/ab%23cd", "http://host.com/ab%23cd"),
    ("http://host.com//twoslashes?more//slashes", "http://host.com/twoslashes?more//slashes"),
]
BROWSERS: list[tuple[str, str]] = [
    (r"http://evil.example\@good.example/", "http://evil.example/@good.example/"),
    (r"https:\\evil.example\kit", "https://evil.example/kit"),
    ("https:evil.example/kit", "https://evil.example/kit"),
    ("https:////evil.example/kit", "https://evil.example/kit"),
    ("//evil.example/kit", "http://evil.example/kit"),
    ("http://good.example@evil.example/", "http://evil.example/"),
    ("http://user:pass@evil.example:80/", "http://evil.example/"),
    ("HTTP://evil.example:80", "http://evil.example/"),
    ("evil.example:8080/kit", "http://evil.example/kit"),
    ("http://ＥＶＩＬ.example/", "http://evil.example/"),
    ("http://evil。example/", "http://evil.example/"),
    ("http://evil．example｡/", "http://evil.example/"),
    ("http://%E3%80%82evil%e3%80%82example/", "http://evil.example/"),
    ("http://bücher.example/", "http://xn--bcher-kva.example/"),
    ("http://BÜCHER.example/", "http://xn--bcher-kva.example/"),
    ("http://faß.example/", "http://xn--fa-hia.example/"),
    ("http://0303.0177.0.013/", "http://195.127.0.11/"),
    ("http://0xc37f000b/", "http://195.127.0.11/"),
    ("http://0xC3.127.11/", "http://195.127.0.11/"),
    ("http://195.127.0.11./", "http://195.127.0.11/"),
    ("http://195.127.0.256/", "http://195.127.0.256/"),
    ("http://1.2.3.4.5/", "http://1.2.3.4.5/"),
    ("http://08.1.1.1/", "http://08.1.1.1/"),
    ("http://[2001:DB8::0:1]:8080/x", "http://[2001:db8::1]/x"),
    ("http://evil.example/a/./b/../c/", "http://evil.example/a/c/"),
    ("http://evil.example/../../x", "http://evil.example/x"),
    ("http://evil.example/a/%2e%2e/b", "http://evil.example/b"),
    ("http://evil.example/%2561", "http://evil.example/a"),
    ("http://evil.example?q=1", "http://evil.example/?q=1"),
    ("http://evil.example/x?u=%2525", "http://evil.example/x?u=%25"),
]
REFUSED = [
    *("", "   ", "http://", "http:///", "https://:443/", "http://@/", "http://.../", "#x", "?q"),
    *(
        "javascript:alert(1)",
        "JavaScript://evil.example/%0aalert(1)",
        " data:text/html,x",
        "mailto:a@b.example",
    ),
    *("java\tscript:alert(1)", "ftp://evil.example/", "file:///etc/passwd", "http://[::zz]/", "\nvbscript:x"),
    "http://evil.example/" + "a" * LONGEST,
]


@pytest.mark.parametrize(("text", "wanted"), PUBLISHED)
def test_the_published_examples(text: str | bytes, wanted: str) -> None:
    assert read(text).url == wanted


def test_all_of_the_published_examples_are_here() -> None:
    assert len(PUBLISHED) == 33


@pytest.mark.parametrize(("text", "wanted"), BROWSERS)
def test_it_is_read_as_browsers_read_it(text: str, wanted: str) -> None:
    assert read(text).url == wanted


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_web_address_is_refused(text: str) -> None:
    with pytest.raises(NotAnAddress):
        read(text)


def test_where_it_is_looked_up_is_as_published() -> None:
    assert read("http://a.b.com/1/2.html?param=1").expressions() == [
        *("a.b.com/1/2.html?param=1", "a.b.com/1/2.html", "a.b.com/", "a.b.com/1/"),
        *("b.com/1/2.html?param=1", "b.com/1/2.html", "b.com/", "b.com/1/"),
    ]
    assert read("http://a.b.c.d.e.f.com/1.html").expressions() == [
        *("a.b.c.d.e.f.com/1.html", "a.b.c.d.e.f.com/"),
        *("c.d.e.f.com/1.html", "c.d.e.f.com/"),
        *("d.e.f.com/1.html", "d.e.f.com/"),
        *("e.f.com/1.html", "e.f.com/"),
        *("f.com/1.html", "f.com/"),
    ]
    assert read("http://1.2.3.4/1/").expressions() == ["1.2.3.4/1/", "1.2.3.4/"]
    assert read("http://example.co.uk/1").expressions() == [
        *("example.co.uk/1", "example.co.uk/"),
        *("co.uk/1", "co.uk/"),
    ]


def test_it_is_never_looked_up_in_more_than_thirty_places() -> None:
    found = read("http://a.b.c.d.e.f.g.h/1/2/3/4/5/6/7.html?q").expressions()
    assert len(found) == len(set(found)) == 30


@pytest.mark.parametrize(
    ("text", "kind", "expression"),
    [
        ("http://evil.example/", EntryKind.HOST, "evil.example/"),
        ("https://www.evil.example", EntryKind.HOST, "www.evil.example/"),
        ("http://xn--bcher-kva.example/", EntryKind.HOST, "xn--bcher-kva.example/"),
        ("http://203.0.113.9/", EntryKind.ADDRESS, "203.0.113.9/"),
        ("http://[2001:db8::1]/", EntryKind.ADDRESS, "[2001:db8::1]/"),
        ("http://evil.example/kit/", EntryKind.PREFIX, "evil.example/kit/"),
        ("http://evil.example/a/b/c/", EntryKind.PREFIX, "evil.example/a/b/c/"),
        ("http://evil.example/a/b/c/d/", EntryKind.URL, "evil.example/a/b/c/d/"),
        ("http://b.c.d.evil.example/", EntryKind.HOST, "b.c.d.evil.example/"),
        ("http://a.b.c.d.evil.example/", EntryKind.PREFIX, "a.b.c.d.evil.example/"),
        (f"http://a.{'b' * 64}/", EntryKind.PREFIX, f"a.{'b' * 64}/"),
        (
            f"http://{'a' * 63}.{'b' * 63}.{'c' * 63}.example/",
            EntryKind.HOST,
            f"{'a' * 63}.{'b' * 63}.{'c' * 63}.example/",
        ),
        (
            f"http://{'a' * 63}.{'b' * 63}.{'c' * 63}.example1/",
            EntryKind.HOST,
            f"{'a' * 63}.{'b' * 63}.{'c' * 63}.example1/",
        ),
        (
            f"http://{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 9}.example/",
            EntryKind.PREFIX,
            f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 9}.example/",
        ),
        ("http://evil.example/kit.html", EntryKind.URL, "evil.example/kit.html"),
        ("http://evil.example/kit/?id=1", EntryKind.URL, "evil.example/kit/?id=1"),
        ("http://evil.example/?", EntryKind.HOST, "evil.example/"),
        # Names that DNS can't have, or that are a whole country, are no hosts to DNS.
        ("http://com/", EntryKind.PREFIX, "com/"),
        ("http://host%23.com/", EntryKind.PREFIX, "host%23.com/"),
        ("http://" + "a" * 64 + ".example/", EntryKind.PREFIX, "a" * 64 + ".example/"),
    ],
)
def test_what_a_block_of_it_covers(text: str, kind: EntryKind, expression: str) -> None:
    address = read(text)
    assert (address.kind, address.expression) == (kind, expression)
    assert expression in address.expressions()


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_the_canonical_form_is_its_own(path: str) -> None:
    """Whatever somebody writes: read again it is the same, and printable ASCII."""
    first = read(f"http://evil.example/{path}")
    assert read(first.url) == first
    assert first.url.isascii()
    assert first.url.isprintable()
    assert " " not in first.url


@given(st.binary(max_size=60))
def test_no_bytes_break_it(raw: bytes) -> None:
    try:
        found = read(raw)
    except NotAnAddress:
        return
    assert found.host
    assert found.path.startswith("/")
    assert len(found.expressions()) <= 30


@given(st.text("abcXY/%.-_~?=&", max_size=20), st.integers(0, 2**32))
def test_escaping_once_more_hides_nothing(tail: str, seed: int) -> None:
    """Whoever escapes some letters, and their escapes again, names the same page."""
    rng = random.Random(seed)
    hidden = "".join(
        f"%{ord(each):02x}" if each.isalnum() and rng.random() < 0.5 else quote(each, safe="/%?=&.-_~")
        for each in tail
    )
    assert read(f"http://evil.example/{hidden}").expression == read(f"http://evil.example/{tail}").expression


def test_a_digest_is_of_the_expression() -> None:
    assert digest("evil.example/") == digest(read("HTTP://EVIL.example:80/#x").expression)
