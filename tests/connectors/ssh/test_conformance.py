"""The conformance suite over real hosts. All of it takes minutes, so an ordinary run takes a sample."""

from collections.abc import Callable
from inspect import signature

import pytest

from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType
from actioncenter.connectors.base import Unsupported
from actioncenter.connectors.ssh.verbs import VERBS, why_not
from tests.connectors.conformance import BOOLEAN, CONFLICTING, UNDOABLE, Conformance
from tests.connectors.conformance_endurance import ConformanceOfEndurance
from tests.connectors.conformance_limits import ConformanceOfLimits
from tests.connectors.harness import Harness, Notes
from tests.connectors.ssh_harness import SshHarness

pytestmark = pytest.mark.hosts

SUITES = (Conformance(), ConformanceOfLimits(), ConformanceOfEndurance())
CHECKS = [getattr(suite, name) for suite in SUITES for name in dir(suite) if name.startswith("test_")]
OF_A_KIND = [check for check in CHECKS if "kind" in signature(check).parameters]
OF_ALL = [check for check in CHECKS if check not in OF_A_KIND]


NOT_HERE = {ActionType.DISABLE_DRIVER, ActionType.ENABLE_DRIVER}
"""The kernel that the lab's hosts share may load no modules; test_drivers stands in for it."""


def kinds_of(check: Callable[..., None]) -> list[ActionType]:
    """The types that the suite itself would run it for, and that hosts can do."""
    (mark,) = check.pytestmark  # type: ignore[attr-defined]
    kinds = [kind for kind in mark.args[1] if kind in VERBS and kind not in NOT_HERE]
    if check.__name__ == "test_partial_results_are_exact":
        # What is judged is killed or isn't there any more: nothing that a test could arrange makes it fail.
        kinds.remove(ActionType.KILL_PROCESS)
    if check.__name__ == "test_partial_results_are_exact":
        # Whatever it can't read it leaves out.
        kinds.remove(ActionType.COLLECT_PACKAGE)
    if check.__name__ in AT_A_MOMENT:
        # A real job ends when it ends: test_jobs.py holds one and does the same.
        kinds = [kind for kind in kinds if kind is not ActionType.ANTIVIRUS_SCAN]
    if check.__name__ == "test_doing_it_again_finds_it_done":
        # That a host doesn't let us in has many reasons, so no other request takes it for done.
        kinds.remove(ActionType.OFFBOARD_DEVICE)
    return kinds


AT_A_MOMENT = {
    "test_a_deadline_in_the_middle_keeps_what_is_done",
    "test_cancelled_at_any_place_the_results_are_exact",
    "test_half_way_it_goes_on_from_any_cursor_it_gave",
    "test_asked_twice_it_is_cancelled_once",
    "test_cancel_leaves_the_rest_undone",
}
CASES = [(check, kind) for check in OF_A_KIND for kind in kinds_of(check)]


@pytest.mark.sampled(8)
@pytest.mark.parametrize(
    ("check", "kind"), CASES, ids=[f"{check.__name__[5:]}-{kind.name.lower()}" for check, kind in CASES]
)
def test_conforms(
    harness: SshHarness, check: Callable[[Harness, ActionType], None], kind: ActionType
) -> None:
    check(harness, kind)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("check", OF_ALL, ids=[check.__name__[5:] for check in OF_ALL])
def test_conforms_as_a_whole(harness: SshHarness, check: Callable[[Harness], None]) -> None:
    check(harness)


def test_what_it_can_do_is_checked_in_every_way() -> None:
    assert {kind for kind in VERBS if CATALOGUE[kind].inverse} <= set(UNDOABLE)
    assert set(CONFLICTING) & set(VERBS) == set(UNDOABLE) & set(VERBS) - BOOLEAN
    assert {kind for _, kind in CASES} == set(VERBS) - NOT_HERE


def test_what_it_can_not_do_it_declines_before_it_connects(harness: SshHarness) -> None:
    declined = [kind for kind in ActionType if why_not(kind)]
    assert set(declined) | set(VERBS) == set(ActionType)
    harness.take_offline(harness.request(ActionType.QUARANTINE_FILE))
    for request in map(harness.request, declined):
        for call in (harness.connector.preview, harness.connector.verify, harness.connector.lookup):
            with pytest.raises(Unsupported):
                call(request)
        with pytest.raises(Unsupported):
            harness.connector.step(request, None, Notes())
