"""What a verdict proposes, and what must be known for it."""

from itertools import product
from typing import Any

import pytest

from actioncenter.actions import recipes
from actioncenter.actions.catalogue import CATALOGUE
from actioncenter.actions.enums import ActionType, Area
from investigations.enums import EvidenceType, Verdict

T, E = ActionType, EvidenceType
DEVICE, EMAIL = Area.DEVICE, Area.EMAIL
BAD = [Verdict.SUSPICIOUS, Verdict.MALICIOUS]

COMPLETE: dict[tuple[EvidenceType, Area], tuple[dict[str, Any], list[ActionType]]] = {
    (E.FILE, DEVICE): ({"device": 7, "path": r"C:\x\a.exe"}, [T.QUARANTINE_FILE]),
    (E.PROCESS, DEVICE): ({"device": 7, "pid": 4711, "sha256": "ab"}, [T.KILL_PROCESS, T.QUARANTINE_FILE]),
    (E.SERVICE, DEVICE): ({"device": 7, "name": "updater"}, [T.STOP_SERVICE]),
    (E.DRIVER, DEVICE): ({"device": 7, "name": "rtcore64"}, [T.DISABLE_DRIVER]),
    (E.SCHEDULED_TASK, DEVICE): ({"device": 7, "name": r"\Sync"}, [T.REMOVE_TASK]),
    (E.REGISTRY, DEVICE): ({"device": 7, "hive": "HKCU", "key": "Run"}, [T.REMOVE_REGISTRY_KEY]),
    (E.PERSISTENCE, DEVICE): ({"device": 7, "key": "Run", "path": r"C:\x"}, [T.REMOVE_REGISTRY_KEY]),
    (E.URL, EMAIL): ({"url": "https://login.example/"}, [T.BLOCK_URL]),
    (E.MAIL_MESSAGE, EMAIL): ({"internet_message_id": "<1@x.example>"}, [T.SOFT_DELETE_EMAIL]),
    (E.MAIL_CLUSTER, EMAIL): ({"query": "Subject:parcel"}, [T.SOFT_DELETE_EMAIL]),
    (E.ATTACHMENT, EMAIL): ({"file_name": "a.html", "message_id": "1"}, [T.QUARANTINE_ATTACHMENT]),
    (E.FORWARDING, EMAIL): ({"mailbox": 3, "address": "out@x.example"}, [T.TURN_OFF_FORWARDING]),
    (E.DELEGATION, EMAIL): ({"mailbox": 3, "delegate": "bo@x.example"}, [T.REMOVE_DELEGATION]),
}
WITHOUT_ACTION = {E.IP, E.USER, E.MAILBOX, E.SUBMISSION, E.SECURITY_GROUP, E.DEVICE, E.OTHER}


def proposed(evidence: EvidenceType, area: Area, facts: dict[str, Any], **more: Any) -> list[ActionType]:
    return list(recipes.proposals(evidence, Verdict.MALICIOUS, area, facts, **more).actions)


@pytest.mark.parametrize("verdict", BAD)
@pytest.mark.parametrize(("evidence", "area"), COMPLETE)
def test_a_bad_verdict_proposes(evidence: EvidenceType, area: Area, verdict: Verdict) -> None:
    facts, expected = COMPLETE[evidence, area]
    found = recipes.proposals(evidence, verdict, area, facts)
    assert (list(found.actions), dict(found.missing)) == (expected, {})


@pytest.mark.parametrize("verdict", [Verdict.NO_THREATS_FOUND, Verdict.UNKNOWN])
@pytest.mark.parametrize(("evidence", "area"), COMPLETE)
def test_other_verdicts_propose_nothing(evidence: EvidenceType, area: Area, verdict: Verdict) -> None:
    found = recipes.proposals(evidence, verdict, area, COMPLETE[evidence, area][0], isolate=True)
    assert (found.actions, dict(found.missing)) == ((), {})


@pytest.mark.parametrize(("evidence", "area"), list(product(E, Area)))
def test_each_kind_of_evidence_has_a_recipe_or_is_known_to_have_none(
    evidence: EvidenceType, area: Area
) -> None:
    assert any((evidence, each) in COMPLETE for each in Area) is (evidence not in WITHOUT_ACTION)
    facts = {"device": 7, "mailbox": 3, "url": "x", "name": "x", "path": "x", "message_id": "1"}
    assert bool(recipes.recipe(evidence, Verdict.MALICIOUS, area)) is ((evidence, area) in COMPLETE)
    assert all(CATALOGUE[action].area == area for action in proposed(evidence, area, facts, isolate=True))


@pytest.mark.parametrize(("evidence", "area"), COMPLETE)
def test_with_nothing_known_nothing_is_proposed_and_it_says_what_is_missing(
    evidence: EvidenceType, area: Area
) -> None:
    found = recipes.proposals(evidence, Verdict.MALICIOUS, area, {"path": "", "members": [], "pid": None})
    assert found.actions == ()
    assert set(found.missing) == set(recipes.recipe(evidence, Verdict.MALICIOUS, area))
    assert all(found.missing.values())


@pytest.mark.parametrize(
    ("evidence", "facts", "expected"),
    [
        (E.PROCESS, {"pid": 1}, [T.KILL_PROCESS]),
        (E.PROCESS, {"path": r"C:\x.exe"}, [T.KILL_PROCESS, T.QUARANTINE_FILE]),
        (E.PROCESS, {"pid": 0}, [T.KILL_PROCESS]),
        (E.FILE, {"sha1": "ab"}, [T.QUARANTINE_FILE]),
        (E.FILE, {"file_name": "a.exe"}, []),
        (E.PERSISTENCE, {"path": r"C:\Startup\x.lnk"}, [T.QUARANTINE_FILE]),
        (E.PERSISTENCE, {"name": "x"}, []),
    ],
)
def test_what_is_known_decides_what_can_be_done(
    evidence: EvidenceType, facts: dict[str, Any], expected: list[ActionType]
) -> None:
    assert proposed(evidence, DEVICE, facts | {"device": 7}) == expected


def test_a_file_on_no_known_device_can_not_be_quarantined() -> None:
    found = recipes.proposals(E.FILE, Verdict.MALICIOUS, DEVICE, {"path": r"C:\x.exe"})
    assert found.missing == {T.QUARANTINE_FILE: (("device",),)}


@pytest.mark.parametrize("evidence", [E.DEVICE, E.FILE, E.IP, E.PERSISTENCE])
def test_isolation_only_when_asked_for(evidence: EvidenceType) -> None:
    facts = {"device": 7, "path": r"C:\x.exe"}
    assert T.ISOLATE_DEVICE not in proposed(evidence, DEVICE, facts)
    assert proposed(evidence, DEVICE, facts, isolate=True)[-1] == T.ISOLATE_DEVICE
    assert T.ISOLATE_DEVICE not in proposed(evidence, DEVICE, {}, isolate=True)


def test_mail_never_isolates() -> None:
    assert proposed(E.MAIL_MESSAGE, EMAIL, {"message_id": "1", "device": 7}, isolate=True) == [
        T.SOFT_DELETE_EMAIL
    ]


def test_every_proposed_action_says_what_it_needs() -> None:
    used = {action for actions in recipes.RECIPES.values() for action in actions} | {T.ISOLATE_DEVICE}
    assert used == set(recipes.NEEDS)
