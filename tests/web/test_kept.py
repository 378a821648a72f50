"""`{% kept %}`: an include that is remembered, and so may depend on nothing but its arguments."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.template import Context, Template
from django.utils.safestring import SafeString
from pytest_django import Settings

from actioncenter.web.templatetags import kept


@pytest.fixture(autouse=True)
def pieces(settings: Settings) -> Iterator[dict[str, str]]:
    """Templates by name, read by the loader each time."""
    written = {
        "piece.html": "{{ row.name }} {{ row.extras|join:'+' }} {{ flag }}{% if secret %} leaked{% endif %}"
    }
    options = {
        **settings.TEMPLATES[0]["OPTIONS"],
        "loaders": [("django.template.loaders.locmem.Loader", written)],
    }
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "APP_DIRS": False, "OPTIONS": options}]
    kept.forget()
    yield written
    kept.forget()


def drawn(row: Mapping[str, Any], flag: bool = True) -> str:
    template = Template("{% load kept %}{% kept 'piece.html' row flag=flag %}")
    return template.render(Context({"row": row, "flag": flag, "secret": "x"}))


def test_everything_from_outside_is_escaped_and_nothing_leaks_in() -> None:
    assert drawn({"name": "<b>&", "extras": ["<i>"]}) == "&lt;b&gt;&amp; &lt;i&gt; True"


def test_drawn_once_for_the_same_values(pieces: dict[str, str]) -> None:
    first = drawn({"name": "a", "extras": ["x"]})
    pieces["piece.html"] = "changed"
    assert drawn({"name": "a", "extras": ["x"]}) == first
    assert drawn({"name": "b", "extras": ["x"]}) == "changed"


@pytest.mark.parametrize(
    ("row", "flag"),
    [({"name": "b", "extras": ["x"]}, True), ({"name": "a", "extras": ["y"]}, True), ({"name": "a", "extras": ["x"]}, False)],
)  # fmt: skip
def test_any_other_value_is_drawn_anew(row: dict[str, Any], flag: bool) -> None:
    assert drawn({"name": "a", "extras": ["x"]}) != drawn(row, flag)


def test_templates_under_work_are_not_remembered(pieces: dict[str, str], settings: Settings) -> None:
    settings.DEBUG = True
    drawn({"name": "a", "extras": []})
    pieces["piece.html"] = "changed"
    assert drawn({"name": "a", "extras": []}) == "changed"


def test_text_that_was_safe_once_vouches_for_no_other() -> None:
    assert drawn({"name": SafeString("<b>"), "extras": []}).startswith("<b>")
    assert drawn({"name": "<b>", "extras": []}).startswith("&lt;b&gt;")
