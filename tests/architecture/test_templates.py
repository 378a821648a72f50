"""Every template obeys the lint, and the lint sees what it is there for."""

import re
from pathlib import Path

import pytest

from tests.architecture.template_lint import findings
from tests.architecture.tree import files, named

PAGES = files(".html", under="templates")


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_template_carries_nothing_dangerous(path: Path) -> None:
    assert findings(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_posted_form_carries_its_token(path: Path) -> None:
    assert [form for form in posted_forms(path) if "{% csrf_token %}" not in form] == []


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_posted_form_carries_a_key(path: Path) -> None:
    assert [form for form in posted_forms(path) if not has_key(form)] == []


def posted_forms(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    found = re.findall(r'<form\b[^>]*method="post".*?</form>', text, re.DOTALL)
    assert len(found) == len(re.findall(r'method\s*=\s*["\']?post', text, re.IGNORECASE)), (
        "a form in disguise"
    )
    return found


KEYLESS = {
    "{% url 'theme' %}": "the last choice counts, however often it is made",
    "{% url 'sign_out' %}": "a session ends once",
    "{% url 'confirm_identity' %}": "a proof of who one is changes nothing else",
    "{% url 'feeds:add' %}": "a name is given once, and the answer, a token, must be kept nowhere",
    "": "sign-in: there is nobody yet whose key it could be",
}
"""Address of a form that needs no idempotency key, and why."""


def has_key(form: str) -> bool:
    address = re.search(r'action="([^"]*)"', form.partition(">")[0])
    return (
        "{% form_key %}" in form
        or 'name="idempotency_key"' in form
        or (address[1] if address else "") in KEYLESS
    )


def test_a_form_without_a_key_is_seen() -> None:
    assert not has_key(
        '<form method="post" action="{% url \'settings:level\' group.pk %}">{% csrf_token %}</form>'
    )


@pytest.mark.parametrize(
    "text",
    [
        "{{ name|safe }}",
        "{{ names | safeseq }}",
        "{% autoescape off %}{{ name }}{% endautoescape %}",
        '<p style="color: red">',
        "<style>p {}</style>",
        "<script>go()</script>",
        '<a href="javascript:go()">',
        '<p onclick="go()">',
        '<p hx-on:click="go()">',
        '<p data-hx-on="go()">',
        """<p hx-vals='{"a": 1}'>""",
        '<p hx-confirm="Sure?">',
        '<p hx-trigger="every 2s [visible]">',
        '<p hx-trigger="{{ when }}">',
        '<p hx-target="#row-{{ name }}">',
        '<p hx-get="/x?q={{ query }}">',
        '<p hx-get="{% some_tag name %}">',
        '<p hx-target:inherited="{{ target }}">',
        "<p class=wide>",
        "<p title={{ name }}>",
        "<button>Go</button>",
    ],
)
def test_lint_refuses(text: str) -> None:
    assert findings(text)


@pytest.mark.parametrize(
    "text",
    [
        '<p class="{{ kind }}" title="{{ name }}">{{ name }}</p>',
        '<button type="button" {% if off %}disabled{% endif %}>Go</button>',
        """<a href="{% url 'x' a.pk %}" hx-get="{% url 'x' a.pk %}" hx-target="#pane">""",
        """<body hx-headers:inherited='{"X-CSRFToken": "{{ csrf_token }}"}'>""",
        """<a hx-get="{% querystring page=2 %}" hx-trigger="tick from:body">""",
        """<script type="module" src="{% static 'js/app.js' %}"></script>""",
        "{# |safe is forbidden #}<!-- <style> -->",
    ],
)
def test_lint_allows(text: str) -> None:
    assert findings(text) == []
