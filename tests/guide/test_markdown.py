"""Our own Markdown becomes HTML, and nothing in it becomes markup by itself."""

import re

import pytest

from actioncenter.guide.markdown import anchor_of, read


def html(text: str) -> str:
    return str(read(text, lambda to: f"/to/{to}" if to != "nowhere" else "").body)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo\n\nthree", "<p>one\ntwo</p><p>three</p>"),
        ("a `b | *c*` d", "<p>a <code>b | *c*</code> d</p>"),
        ("**Why it `waits`** and *so*", "<p><strong>Why it <code>waits</code></strong> and <em>so</em></p>"),
        ("[the table](admin.md#x)", '<p><a href="/to/admin.md#x">the table</a></p>'),
        ("[a `decision`](nowhere) [b](there)", '<p>a <code>decision</code> <a href="/to/there">b</a></p>'),
        ("    one\n\n      two\n\nafter", "<pre><code>one\n\n  two\n</code></pre><p>after</p>"),
        ("1. one\n\n       code\n\n2. two", "<ol><li><p>one</p><pre><code>code\n</code></pre></li><li><p>two</p></li></ol>"),
        ("- one\n  - inner\n- two", "<ul><li>one\n<ul><li>inner</li></ul></li><li>two</li></ul>"),
        (
            "| a |\n|---:|\n| 1 \\| `x` |",
            '<table><thead><tr><th class="num" scope="col">a</th></tr></thead><tbody><tr><td class="num">1 | <code>x</code></td></tr></tbody></table>',
        ),
        ("# Title\n\n## What *comes*", '<h2 id="what-comes">What <em>comes</em></h2>'),
    ],
)  # fmt: skip
def test_what_our_documents_use(text: str, expected: str) -> None:
    assert re.sub(r"(?<=>)\n+(?=<|$)", "", html(text)) == expected


def test_nothing_in_a_document_is_markup_of_the_page() -> None:
    hostile = "<script>x</script>"
    for text in (
        hostile,
        f"`{hostile}`",
        f"## {hostile}",
        f"| {hostile} |\n|---|\n| {hostile} |",
        f"[{hostile}](x)",
    ):
        assert "<script" not in html(text)
    assert '"><i>' not in html('[x]("><i>)')


def test_the_first_heading_is_the_title_and_the_others_are_sections() -> None:
    found = read("# For analysts\n\n## Approve, reject\n\n### Your *password* again", str)

    assert found.title == "For analysts"
    assert [(each.anchor, each.title, each.depth) for each in found.sections] == [
        ("approve-reject", "Approve, reject", 2),
        ("your-password-again", "Your password again", 3),
    ]


def test_anchors_are_those_of_github() -> None:
    assert anchor_of('"Not recorded": what a 409 means') == "not-recorded-what-a-409-means"
    assert anchor_of("2. Each host") == "2-each-host"
