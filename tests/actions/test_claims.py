"""What counts as a claim of authority or haste, and what is only a lure or a name."""

import pytest

from actioncenter.actions.execution.claims import LONGEST, claim_in, texts_of
from tests.actions.claims_told import HARMLESS, TOLD


@pytest.mark.parametrize("text", TOLD)
def test_a_claim_is_seen(text: str) -> None:
    assert claim_in(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_a_lure_or_a_name_is_no_claim(text: str) -> None:
    assert claim_in(text) == ""


def test_it_is_seen_at_any_depth() -> None:
    assert [claim_in(text) for text in texts_of([("x", {"a": [7, {"b": "skip the review"}]})])] == [
        "",
        "skip the review",
    ]


def test_long_text_is_not_read_to_its_end() -> None:
    assert claim_in("x" * LONGEST + " skip the review") == ""
