"""`{% cells %}`: the cells of a row in an order that a variable gives."""

import pytest
from django.template import Context, Template

ROW = (
    '{% load cells %}{% cells columns %}{% cell "a" %}[{{ name }}]{% cell "b" %}{% if name %}yes{% endif %}'
    "{% cell %}{{ column }}{% endcells %}"
)


@pytest.mark.parametrize(
    ("columns", "drawn"),
    [
        (["a", "b"], "[&lt;i&gt;]yes"),
        (["b", "z", "a"], "yesz[&lt;i&gt;]"),
        ([], ""),
        (["<b>"], "&lt;b&gt;"),
    ],
)
def test_in_the_order_given_and_escaped(columns: list[str], drawn: str) -> None:
    assert Template(ROW).render(Context({"columns": columns, "name": "<i>"})) == drawn
