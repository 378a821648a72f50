"""Block URL through the runner: on the list, read back from it, and off it again exactly as it came."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.test import override_settings

from actioncenter.actions.enums import ActionType, Area, Decision, Execution
from actioncenter.actions.execution import blocking, drifting, loop
from actioncenter.actions.models import Action, Conflict, standing
from actioncenter.audit.models import Event
from actioncenter.feeds import publishing
from actioncenter.feeds.canonical import digest, read
from actioncenter.feeds.enums import FeedFormat
from actioncenter.feeds.models import Block, BlockList
from actioncenter.feeds.models.blocks import is_blocked
from actioncenter.web.clock import database_now
from investigations.enums import EvidenceType, Verdict
from investigations.models import Evidence
from tests import factories
from tests.actions.conftest import RUNNER
from tests.feeds.acting import blocked, in_use, proposed, run, undone

pytestmark = pytest.mark.django_db
URL = "http://evil.example/kit/login.html"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _in_use(db: None) -> None:
    in_use()


def is_stopped(url: str) -> bool:
    return is_blocked([digest(each) for each in read(url).expressions()])


def listed() -> list[str]:
    lines = publishing.published(FeedFormat.URLS).body.decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def time_passes(days: float) -> None:
    """For the list."""
    Block.objects.update(placed_at=F("placed_at") - days * DAY, expires_at=F("expires_at") - days * DAY)


def kinds(of: Block) -> list[str]:
    return list(Event.objects.filter(subject=f"block:{of.pk}").order_by("pk").values_list("kind", flat=True))


# There and back


def test_it_is_on_the_list_and_read_back() -> None:
    action = blocked(URL)

    assert action.execution == Execution.SUCCEEDED
    assert listed() == ["evil.example/kit/login.html"]
    assert is_stopped("https://EVIL.example:443//kit/./%6Cogin.html?id=7#x")
    assert not is_stopped("http://evil.example/kit/other.html")
    target = action.targets.get()
    assert (target.in_force, target.after["expression"]) == (True, "evil.example/kit/login.html")
    assert target.read_back_at is not None


def test_undone_the_list_is_as_before() -> None:
    blocked("http://other.example/")
    before = listed()
    action = blocked(URL)

    inverse = undone(action)

    assert inverse.execution == Execution.SUCCEEDED
    assert listed() == before
    assert not is_stopped(URL)
    assert is_stopped("http://sub.other.example/x")
    assert kinds(Block.objects.get(expression="evil.example/kit/login.html")) == [
        "url.blocked",
        "url.unblocked",
    ]


def test_every_change_raises_the_version_and_nothing_else_does() -> None:
    seen = [BlockList.current()]
    first = blocked(URL)
    seen.append(BlockList.current())
    run()
    assert BlockList.current() == seen[-1]
    second = blocked("http://second.example/")
    seen.append(BlockList.current())
    for action in (first, second):
        undone(action)
        seen.append(BlockList.current())
    assert seen == sorted(set(seen))


def test_a_wording_of_the_same_page_is_the_same_target() -> None:
    """Otherwise two spellings would be decided, and taken back, apart."""
    found_in = factories.investigation("Phish")
    made = []
    for number, url in enumerate(
        ("HTTP://Evil.example:80/a/../kit?x=1#top", "http://evil.example/%6bit?x=1")
    ):
        evidence = Evidence.objects.create(
            investigation=found_in, key=f"url-{number}", type=EvidenceType.URL, name=url, verdict=Verdict.MALICIOUS,
            area=Area.EMAIL, facts={"url": url},
        )  # fmt: skip
        made += factories.planned(evidence)
    assert {action.targets.get().entity for action in made} == {"evil.example/kit?x=1"}


def test_a_verdict_waits_is_approved_and_blocks() -> None:
    evidence = Evidence.objects.create(
        investigation=factories.investigation("Phish"), key="url", type=EvidenceType.URL, name=URL,
        verdict=Verdict.MALICIOUS, area=Area.EMAIL, facts={"url": URL},
    )  # fmt: skip
    (action,) = factories.planned(evidence)
    assert (action.type, action.decision) == (ActionType.BLOCK_URL, Decision.PENDING)
    run(action)
    assert listed() == [], "a plan changes nothing"
    plan = action.plans.order_by("pk").last()
    assert plan is not None
    assert plan.body["changes"] == ["Blocks evil.example/kit/login.html: this address alone."]
    assert "DNS" in plan.body["warnings"][0]

    action.approve(by=factories.actor(factories.person("aiko")), comment="Phishing")
    run(action)

    assert action.execution == Execution.SUCCEEDED
    assert listed() == ["evil.example/kit/login.html"]


# Twice


def test_blocked_twice_it_stays_until_both_are_undone() -> None:
    first, second = blocked(URL), blocked("https://evil.example//kit/login.html")
    assert [each.execution for each in (first, second)] == [Execution.SUCCEEDED] * 2
    assert listed() == ["evil.example/kit/login.html"], "told once"

    with pytest.raises(Conflict):
        first.undo(by=factories.actor(factories.person("aiko")), comment="Not in this order.")
    inverse = undone(second)

    assert inverse.execution == Execution.SUCCEEDED
    assert inverse.targets.get().after == {
        "blocked": True,
        "expression": "evil.example/kit/login.html",
        "others": 1,
    }
    assert is_stopped(URL)
    assert undone(first).execution == Execution.SUCCEEDED
    assert not is_stopped(URL)
    assert listed() == []


def test_the_longer_of_two_counts() -> None:
    blocked(URL, days=1)
    blocked(URL, days=3)
    time_passes(2)
    assert listed() == ["evil.example/kit/login.html"]
    assert is_stopped(URL)
    time_passes(2)
    assert listed() == []


def test_a_host_is_no_reason_for_its_pages() -> None:
    """Taking back the page leaves the host blocked, and the other way round."""
    page, host = blocked(URL), blocked("http://evil.example/")
    undone(page)
    assert is_stopped(URL), "by its host"
    undone(host)
    assert not is_stopped(URL)


# Its time


def test_over_it_unblocks_by_itself_even_without_a_runner() -> None:
    blocked(URL, days=2)
    version = BlockList.current()
    time_passes(1.9)
    assert listed() == ["evil.example/kit/login.html"]
    assert BlockList.current() == version
    time_passes(0.2)
    assert listed() == []
    assert not is_stopped(URL)
    assert BlockList.current() == version + 1, "so that consumers hear of it"


def test_the_version_never_falls_when_what_ran_out_is_written_down() -> None:
    blocked(URL, days=1)
    blocked("http://second.example/", days=1)
    time_passes(2)
    version = BlockList.current()
    blocked("http://third.example/")
    assert BlockList.current() == version + 1
    ended = Block.objects.get(expression="second.example/")
    assert ended.released_at == ended.expires_at
    assert ended.released_version is not None
    assert kinds(ended) == ["url.blocked", "url.unblocked"]


def test_its_timer_takes_it_back_as_an_undo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "database_now", lambda: database_now() - 2 * DAY)
    action = blocked(URL, days=1)
    monkeypatch.undo()

    run(action)

    inverse = Action.objects.get(undo_of=action)
    assert inverse.execution == Execution.SUCCEEDED
    assert listed() == []


def test_its_own_end_is_no_difference_to_what_was_done() -> None:
    action = blocked(URL, days=1)
    time_passes(2)
    action.targets.update(checked_at=Now() - 30 * DAY)
    drifting.ask(RUNNER)
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert action.drifted_at is None


def test_what_was_taken_off_the_list_otherwise_is_told() -> None:
    action = blocked(URL)
    Block.objects.all().delete()
    action.targets.update(checked_at=Now() - 30 * DAY)
    drifting.ask(RUNNER)
    loop.drain(by=RUNNER)
    action.refresh_from_db()
    assert action.drifted_at is not None


# What is not believed, and what is refused


def test_a_block_that_did_not_reach_the_list_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = Block.place.__func__  # type: ignore[attr-defined]

    def vanishing(*args: object, **more: object) -> Block:
        block: Block = placed(Block, *args, **more)
        Block.objects.filter(pk=block.pk).update(
            released_at=Now(), released_version=block.version, released_by="x"
        )
        return block

    monkeypatch.setattr(blocking.Block, "place", vanishing)
    action = blocked(URL)
    assert action.execution == Execution.FAILED


@override_settings(PUBLIC_URL="https://soc.halden.example")
@pytest.mark.parametrize(
    "url", ["https://soc.halden.example/", "http://halden.example/", "https://soc.halden.example/click/"]
)
def test_it_never_blocks_the_way_through_itself(url: str) -> None:
    action = blocked(url)
    assert action.execution == Execution.FAILED
    assert "this Action center" in action.targets.get().error
    assert listed() == []


@override_settings(PUBLIC_URL="https://soc.halden.example")
def test_its_neighbours_may_be_blocked() -> None:
    assert blocked("http://evil.halden.example/").execution == Execution.SUCCEEDED


def test_what_is_no_address_fails_and_says_so() -> None:
    action = proposed(URL)
    action.targets.update(facts={"url": "javascript:alert(1)"})
    run(action)
    assert action.execution != Execution.SUCCEEDED
    assert listed() == []


def test_ending_a_block_of_somebody_elses_is_told_apart() -> None:
    """A row that was changed by hand is not what the action had placed."""
    action = blocked(URL, days=1)
    Block.objects.update(expires_at=Now() + 90 * DAY)
    inverse = undone(action)
    assert inverse.execution == Execution.FAILED
    assert is_stopped(URL)
