"""Lists that are narrowed by what stands in their address: the filters, and the addresses that lead on.

What is wrong with a value is said and the value ignored.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import django_filters
from django.http import QueryDict


class Narrowing(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    """`qs` is not used: pages read what was `chosen`."""

    class Meta:
        fields: Final[list[str]] = []

    @property
    def chosen(self) -> dict[str, Any]:
        cleaned: Mapping[str, Any] = self.form.cleaned_data
        return {name: value for name, value in cleaned.items() if value not in (None, "")}

    @property
    def complaints(self) -> list[str]:
        """One sentence per value that was ignored."""
        return [
            f"{self.filters[name].label}: {' '.join(map(str, errors))} This filter was ignored."
            for name, errors in self.form.errors.items()
        ]

    def shown(self, name: str) -> str:
        """A chosen value in words."""
        return self.worded(name, str(self.chosen[name]))

    def worded(self, name: str, value: str) -> str:
        choices = self.filters[name].extra.get("choices") or ()
        return str(dict(choices() if callable(choices) else choices).get(value, value))


class Address:
    """A list as its address has it. `kept` is what every address of this list carries."""

    path: str
    narrowing: Narrowing
    kept: QueryDict

    def url(self, *, without: Sequence[str] = (), **changes: Any) -> str:
        """This list with something changed."""
        return at(self.path, self.kept, without=without, **changes)

    @property
    def clear_url(self) -> str:
        """Without any filter."""
        return self.url(without=list(self.narrowing.chosen))

    def chips(self) -> list[dict[str, str]]:
        return [
            {
                "name": name,
                "label": str(self.narrowing.filters[name].label),
                "value": self.narrowing.shown(name),
                "remove_url": self.url(without=[name]),
            }
            for name in self.narrowing.chosen
        ]

    def nothing_fits(self, what: str) -> dict[str, str] | None:
        """What an empty list of `what` says; None where it isn't narrowed."""
        chips = self.chips()
        if not chips:
            return None
        names = ", ".join(f"{chip['label']} {chip['value']}" for chip in chips)
        return {
            "title": "Nothing matches",
            "text": f"No {what} fits {names}.",
            "url": self.clear_url,
            "label": "Clear the filters",
        }


def at(path: str, query: QueryDict, *, without: Sequence[str] = (), **changes: Any) -> str:
    """That path with the query and what is changed in it."""
    query = query.copy()
    for name in without:
        query.pop(name, None)
    for name, value in changes.items():
        query[name] = str(value)
    return f"{path}?{query.urlencode()}" if query else path
