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
    forms = re.findall(r'<form\b[^>]*method="post".*?</form>', path.read_text(encoding="utf-8"), re.DOTALL)

    assert [form for form in forms if "{% csrf_token %}" not in form] == []


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
