"""Lists with a name: for oneself or for a role. They hold no rows, so everybody sees in them what they may see."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from actioncenter.accounts.models import User
from actioncenter.actions.models import SavedView
from actioncenter.actions.models.saved import MOST
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import Role
from tests import factories
from tests.actions.test_pages_lists import HISTORY, PENDING
from tests.actions.varied import proposed
from tests.web.test_text import HOSTILE

pytestmark = pytest.mark.django_db
VIEWS = "/action-center/views"
RESPONDERS = str(int(Role.RESPONDER))


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(factories.person(name))
    return client


@pytest.fixture
def mira() -> Client:
    return signed_in("mira")


def save(client: Client, name: str = "Mine", **more: Any) -> HttpResponse:
    form = {"name": name, "tab": "pending", "query": "verdict=malicious", "idempotency_key": str(uuid4())}
    answer: HttpResponse = client.post(f"{VIEWS}/save", form | more)
    return answer


def beside(client: Client, address: str = PENDING) -> dict[str, dict[str, Any]]:
    """The saved ones among the views beside a list."""
    return {view["label"]: view for view in client.get(address).context["views"] if "own" in view}


def test_a_list_is_kept_under_a_name_with_its_count(mira: Client) -> None:
    for name in "ab":
        proposed(name=name)

    assert save(mira, "The bad ones").status_code == 302

    view = beside(mira)["The bad ones"]
    assert (view["count"], view["active"], view["own"]) == ("2", False, True)
    assert view["url"] == f"{PENDING}?verdict=malicious"
    assert beside(mira, view["url"])["The bad ones"]["active"]
    assert beside(mira, HISTORY) == {}
    event = Event.objects.get(kind=Kind.VIEW_SAVED)
    assert event.after == {
        "name": "The bad ones", "tab": "pending", "query": "verdict=malicious", "shared_with": None,
    }  # fmt: skip


def test_columns_and_order_belong_to_it(mira: Client) -> None:
    save(mira, query="sort=-target&verdict=malicious&size=100")

    assert beside(mira)["Mine"]["url"] == f"{PENDING}?verdict=malicious&sort=-target&size=100"


def test_ones_own_are_nobody_elses(mira: Client) -> None:
    save(mira)

    sam = signed_in("sam")
    assert beside(sam) == {}
    assert sam.get(VIEWS).context["views"] == []


def test_what_is_shared_with_a_role_counts_what_each_may_see(mira: Client) -> None:
    closed = factories.closed_group()
    proposed(name="open")
    factories.waiting_action(in_group=closed)
    save(mira, "Ours", query="", shared_with=RESPONDERS)

    counts = {
        name: beside(signed_in(name)).get("Ours", {}).get("count") for name in ("sam", "noa", "kim", "ivo")
    }
    assert counts == {"sam": "1", "noa": None, "kim": None, "ivo": None}
    (view,) = signed_in("sam").get(VIEWS).context["views"]
    assert (view["shared"], view["owner"], view["own"]) == ("Every responder", "Mira Chen", False)


def test_ones_own_come_before_what_others_share(mira: Client) -> None:
    save(signed_in("noa"), "A first", shared_with=RESPONDERS)
    save(mira, "Mine")

    assert list(beside(mira)) == ["Mine", "A first"]


def test_a_shared_one_that_names_a_group_out_of_sight_does_not_exist_there(mira: Client) -> None:
    """Its name could tell what is in the group."""
    closed = factories.closed_group()
    save(signed_in("noa"), "Board", query=f"group={closed.pk}", shared_with=RESPONDERS)

    assert beside(signed_in("sam")) == {}


def test_sharing_needs_a_role_that_works_on_actions() -> None:
    ivo = signed_in("ivo")

    assert save(ivo, shared_with=RESPONDERS).status_code == 403
    assert not SavedView.objects.exists()
    assert save(ivo).status_code == 302


@pytest.mark.parametrize(
    ("wrong", "status", "says"),
    [
        ({"name": ""}, 400, "at most 60 characters"),
        ({"name": "x" * 61}, 400, "at most 60 characters"),
        ({"tab": "elsewhere"}, 400, "Not saved"),
        ({"query": "verdict=nonsense"}, 400, "means nothing here"),
        ({"query": "x" * 2001}, 400, "Not saved"),
        ({"shared_with": "99"}, 400, "Not saved"),
    ],
)
def test_what_cannot_be_saved(mira: Client, wrong: dict[str, str], status: int, says: str) -> None:
    answer = save(mira, **wrong)

    assert (answer.status_code, says in answer.content.decode()) == (status, True)
    assert not SavedView.objects.exists()


def test_a_name_is_used_once_on_a_tab(mira: Client) -> None:
    save(mira)

    answer = save(mira, query="")
    assert (answer.status_code, "called Mine already" in answer.content.decode()) == (422, True)
    assert save(mira, tab="history", query="").status_code == 302
    assert save(signed_in("sam")).status_code == 302


def test_there_is_an_end_to_them(mira: Client) -> None:
    for number in range(MOST):
        assert save(mira, f"View {number}").status_code == 302

    assert save(mira, "One more").status_code == 422
    assert SavedView.objects.count() == MOST


def test_the_same_form_again_saves_one(mira: Client) -> None:
    key = str(uuid4())
    answers = [save(mira, idempotency_key=key).status_code for _ in range(2)]

    assert (answers, SavedView.objects.count()) == ([302, 302], 1)


def change(client: Client, view: SavedView, verb: str, **form: str) -> int:
    answer = client.post(f"{VIEWS}/{view.pk}/{verb}", form | {"idempotency_key": str(uuid4())})
    return answer.status_code


def test_it_is_renamed_and_deleted(mira: Client) -> None:
    save(mira)
    view = SavedView.objects.get()

    assert change(mira, view, "rename", name="Ours") == 302
    assert list(beside(mira)) == ["Ours"]
    assert change(mira, view, "remove") == 302
    assert beside(mira) == {}
    told = Event.objects.filter(stream=Event.objects.get(kind=Kind.VIEW_SAVED).stream).values_list(
        "kind", flat=True
    )
    assert list(told.order_by("pk"))[-3:] == [Kind.VIEW_SAVED, Kind.VIEW_RENAMED, Kind.VIEW_REMOVED]
    assert change(mira, view, "remove") == 404


@pytest.mark.parametrize(("verb", "form"), [("rename", {"name": "Taken"}), ("remove", {})])
@pytest.mark.parametrize("shared_with", [RESPONDERS, ""])
def test_nobody_else_changes_it(mira: Client, verb: str, form: dict[str, str], shared_with: str) -> None:
    """Whoever it is shared with neither; an admin only deletes, and only what is shared."""
    save(mira, shared_with=shared_with)
    view = SavedView.objects.get()

    deletes = verb == "remove" and bool(shared_with)
    for name in ("sam", "ivo", *([] if deletes else ["noa"])):
        assert change(signed_in(name), view, verb, **form) == 404, name
    assert SavedView.objects.get().name == "Mine"


def test_an_admin_deletes_what_somebody_left_behind(mira: Client) -> None:
    noa, gone = signed_in("noa"), factories.person("mira")
    save(mira, "Ours", shared_with=RESPONDERS)
    save(mira, "Hers")
    save(signed_in("sam"), "At night", shared_with=RESPONDERS)
    gone.deactivate(by=factories.SETUP)
    view = SavedView.objects.get(name="Ours")
    page = noa.get(VIEWS)
    assert [(shown["label"], shown["left"]) for shown in page.context["views"]] == [
        ("Ours", True),
        ("At night", False),
    ]
    assert "by Mira Chen, who has left" in page.content.decode().replace("<bdi>", "").replace("</bdi>", "")

    assert change(noa, view, "remove") == 302

    assert set(SavedView.objects.values_list("name", flat=True)) == {"Hers", "At night"}
    told = Event.objects.get(kind=Kind.VIEW_REMOVED)
    assert (told.actor_name, told.subject_name, told.detail) == ("Noa Levi", "Ours", {"owner": "Mira Chen"})
    assert told.before is not None
    assert told.before["name"] == "Ours"
    assert change(noa, view, "remove") == 404


def test_an_admin_deletes_also_what_means_nothing_any_more(mira: Client) -> None:
    save(mira, shared_with=RESPONDERS)
    SavedView.objects.update(query="verdict=abolished")
    noa = signed_in("noa")

    [shown] = noa.get(VIEWS).context["views"]
    assert "url" not in shown
    assert change(noa, SavedView.objects.get(), "remove") == 302
    assert not SavedView.objects.exists()


def test_one_that_means_nothing_any_more_is_left_out(mira: Client) -> None:
    save(mira)
    SavedView.objects.update(query="verdict=abolished")

    assert beside(mira) == {}
    assert mira.get(VIEWS).status_code == 200


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\ud800" not in text])
def test_a_name_is_only_text_or_refused(mira: Client, text: str) -> None:
    name = text[:60]
    assert save(mira, name).status_code == (302 if name.isprintable() else 400 if "\0" in name else 422)
    for page in (PENDING, VIEWS):
        body = mira.get(page).content.decode()
        assert "<script>alert(1)" not in body
        assert "<img src=x" not in body
        assert not {"\u202e", "\u200b", "\xad", "\x1b"} & {*body}


def test_as_many_statements_for_many_as_for_one(mira: Client) -> None:
    counts: dict[str, list[int]] = {PENDING: [], VIEWS: []}
    for number in (1, 3, 12):
        while SavedView.objects.count() < number:
            save(mira, f"View {SavedView.objects.count()}")
        for page, found in counts.items():
            mira.get(page)
            with CaptureQueriesContext(connection) as asked:
                mira.get(page)
            found.append(len(asked))

    assert {page: len({*found}) for page, found in counts.items()} == {PENDING: 1, VIEWS: 1}, counts


def test_a_person_who_is_gone_takes_them_along(mira: Client) -> None:
    save(mira)
    User.objects.filter(username="mira").delete()

    assert not SavedView.objects.exists()
