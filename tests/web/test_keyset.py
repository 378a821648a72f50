"""Page tokens, row comparison, and several querysets in one statement."""

import pytest
from django.db.models import Sum

from actioncenter.accounts.models import User
from actioncenter.web.keyset import BadToken, Beyond, counted, fetch, figure, scalars, seal, unseal


def test_a_position_comes_back_as_it_was() -> None:
    position = {"s": "-ended", "v": ["2026-11-23 14:31:07.123", 42], "b": False, "n": 51}
    assert unseal(seal(position)) == position


@pytest.mark.parametrize("spoil", [
    lambda token: token[:-1], lambda token: f"x{token}", lambda token: "", lambda token: "\x00", lambda token: "a:b",
    lambda token: token * 100, lambda token: token.replace("e", "f", 1), lambda token: "ü",
])  # fmt: skip
def test_a_changed_token_is_refused(spoil) -> None:  # type: ignore[no-untyped-def]
    token = seal({"s": "ended", "v": [1]})
    with pytest.raises(BadToken):
        unseal(spoil(token))


@pytest.fixture
def people(db: None) -> list[User]:
    return [User.objects.create(username=name) for name in ("anna", "bo", "bo2", "cy")]


def test_row_comparison_takes_the_second_column_where_the_first_is_equal(people: list[User]) -> None:
    User.objects.filter(username__startswith="bo").update(display_name="b")
    User.objects.filter(username="cy").update(display_name="c")
    bo = User.objects.get(username="bo")

    after = User.objects.filter(Beyond(["display_name", "id"], ["b", bo.pk]))
    before = User.objects.filter(Beyond(["display_name", "id"], ["b", bo.pk], down=True))
    assert set(after.values_list("username", flat=True)) == {"bo2", "cy"}
    assert set(before.values_list("username", flat=True)) == {"anna"}


def test_branches_come_one_after_the_other_each_in_its_order(people: list[User]) -> None:
    newest = User.objects.order_by("-id").values_list("username")[:2]
    oldest = User.objects.order_by("id").values_list("username")[:1]
    nobody = User.objects.none().values_list("username")

    assert fetch([newest, nobody, oldest]) == [("cy",), ("bo2",), ("anna",)]
    assert fetch([nobody]) == []


def test_several_figures_in_one_statement(people: list[User], django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    everybody = User.objects.all()
    with django_assert_num_queries(1):
        found = scalars([
            counted(everybody.values("pk")), counted(everybody.values("pk")[:2]), counted(User.objects.none()),
            figure(everybody.filter(username="anna"), Sum("id")), figure(everybody.filter(username="x"), Sum("id")),
        ])  # fmt: skip
    assert found == (4, 2, None, people[0].pk, None)
