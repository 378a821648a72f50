"""The cells of a row in an order that a variable gives.

    {% cells columns %}{% cell "target" %}<td>…</td>{% cell "age" %}<td>…</td>{% cell %}<td>…</td>{% endcells %}

The last, nameless one is for every other column, with its key as `column`. A chain of `if` in a loop says the
same and takes a third longer for the whole row.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from django import template
from django.template.base import FilterExpression, Node, NodeList, Parser, Token
from django.template.context import Context
from django.utils.safestring import SafeString

register = template.Library()

OTHER: Final = ""


class CellsNode(Node):
    def __init__(self, columns: FilterExpression, named: Mapping[str, NodeList]) -> None:
        self.columns, self.named = columns, named

    def __iter__(self) -> Iterator[Node]:
        for nodes in self.named.values():
            yield from nodes

    def render(self, context: Context) -> SafeString:
        drawn = []
        for key in self.columns.resolve(context):
            nodes = self.named.get(key)
            if nodes is None:
                context["column"], nodes = key, self.named[OTHER]
            drawn.append(nodes.render(context))
        # Each part was escaped by its own nodes.
        return SafeString("".join(drawn))


@register.tag
def cells(parser: Parser, token: Token) -> CellsNode:
    columns, named = parser.compile_filter(token.split_contents()[1]), {}
    parser.parse(("cell",))
    tag = parser.next_token()
    while tag.contents != "endcells":
        name = tag.contents.removeprefix("cell").strip(" \"'")
        named[name] = parser.parse(("cell", "endcells"))
        tag = parser.next_token()
    return CellsNode(columns, named)
