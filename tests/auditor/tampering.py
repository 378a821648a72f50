"""The 29 ways to falsify the log that somebody with every table and the code can think of.

Each takes the log away from the truth and gives the ids of events any of which, named, points at the place;
none where nothing but a seal can be named.
"""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import F

from actioncenter.actions.models import Action
from actioncenter.audit import canonical, log, redacted, redactions, sealing, seals
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind, Via
from actioncenter.audit.models import Event, Redaction, Seal
from actioncenter.audit.redactions import RedactionText
from actioncenter.audit.seals import SealText
from actioncenter.audit.verify_redactions import STREAM

FORGER: Final = b"somebody else's key of 32 bytes."
BLANKED: Final = ["detail.comment"]


@dataclass(frozen=True, slots=True)
class World:
    """Three sealed actions, then a seal of a fourth, and two events of a fifth that no seal holds yet."""

    first: int
    second: int
    fourth: int
    fifth: int

    def of(self, action: int) -> list[Event]:
        return list(Event.objects.filter(stream=f"action:{action}").order_by("seq"))


Attack = Callable[[World], set[int]]


def change(event: Event, **columns: Any) -> set[int]:
    Event.objects.filter(pk=event.pk).update(**columns)
    return {event.pk}


def rewrite(event: Event, *, key: bytes, previous: str, **columns: Any) -> str:
    """Columns, text and chain value that fit together; gives the new chain value."""
    values = {**canonical.read(event.canonical), **columns}
    text = canonical.render(values)
    link = canonical.link(key, values["stream"], previous, text)
    change(event, **columns, canonical=text, chain=link)
    return link


def recompute(events: list[Event], *, key: bytes, at: int, **columns: Any) -> set[int]:
    """Change one, and give all after it in the stream values that follow from it."""
    previous = events[at - 1].chain if at else ""
    for number, event in enumerate(events[at:], start=at):
        previous = rewrite(event, key=key, previous=previous, **(columns if number == at else {}))
    return {events[at].pk}


def delete(*events: Event) -> None:
    Event.objects.filter(pk__in=[event.pk for event in events]).delete()


def reseal(numbers_from: int = 1) -> None:
    """Make all seals anew from what is there now, with the true key or whatever `settings` has."""
    previous = ""
    for seal in Seal.objects.order_by("number"):
        said = SealText.read(seal.text)
        rows = Event.objects.filter(pk__in=said.ids).order_by("pk").values_list("pk", "chain", "canonical")
        leaves = {pk: seals.leaf(chain, text) for pk, chain, text in rows}
        text = SealText(seal.number, said.at, previous, list(leaves), list(leaves.values())).render()
        previous = seals.digest(text)
        Seal.objects.filter(pk=seal.pk).update(
            text=text, digest=previous, signature=seals.sign(settings.SIGNING_KEY, text)
        )


def edit(world: World) -> set[int]:
    return change(world.of(world.first)[1], actor_name="Tom Reyes")


def edit_and_rehash(world: World) -> set[int]:
    event = world.of(world.first)[1]
    rewrite(event, key=b"", previous=world.of(world.first)[0].chain, actor_name="Tom Reyes")
    return {event.pk}


def edit_and_recompute_all(world: World) -> set[int]:
    return recompute(world.of(world.first), key=FORGER, at=1, actor_name="Tom Reyes")


def time_stamp(world: World) -> set[int]:
    event = world.of(world.second)[1]
    return change(event, at=event.at.replace(year=2020))


def delete_one(world: World) -> set[int]:
    gone, after = world.of(world.first)[1:3]
    delete(gone)
    return {gone.pk, after.pk}


def delete_and_recompute(world: World) -> set[int]:
    events = world.of(world.first)
    delete(events[1])
    previous = events[0].chain
    for event in events[2:]:
        previous = rewrite(event, key=FORGER, previous=previous, seq=event.seq - 1)
    return {events[1].pk, events[2].pk}


def delete_life(world: World) -> set[int]:
    events = world.of(world.first)
    delete(*events)
    return {event.pk for event in events}


def cut_tail(world: World) -> set[int]:
    last = world.of(world.second)[-1]
    delete(last)
    return {last.pk}


def roll_back(world: World) -> set[int]:
    """To the state after the first seal: nothing is left that tells of what came later."""
    newest = Seal.objects.order_by("number").last()
    assert newest is not None
    Event.objects.filter(pk__gte=newest.first_event).delete()
    newest.delete()
    _forget(world.fourth, world.fifth)
    return set()


def _forget(*actions: int) -> None:
    rows = Action.objects.filter(pk__in=actions)
    rows.update(approved_plan=None)
    rows.delete()


def empty(world: World) -> set[int]:
    Event.objects.all().delete()
    Seal.objects.all().delete()
    _forget(*Action.objects.values_list("pk", flat=True))
    return set()


def swap(world: World) -> set[int]:
    one, two = world.of(world.first)[:2]
    change(one, seq=9999)
    change(two, seq=one.seq)
    change(one, seq=two.seq)
    return {one.pk, two.pk}


def insert_forged(world: World) -> set[int]:
    events = world.of(world.second)
    Event.objects.filter(stream=events[0].stream, seq__gt=1).update(seq=F("seq") + 1000)
    Event.objects.filter(stream=events[0].stream, seq__gt=1000).update(seq=F("seq") - 999)
    return _append(events[0], seq=2, chain="ab" * 32) | {events[1].pk}


def append_approval(world: World) -> set[int]:
    last = world.of(world.second)[-1]
    return _append(last, seq=last.seq + 1, kind="action.approved", key=FORGER)


def duplicate(world: World) -> set[int]:
    last = world.of(world.second)[-1]
    return _append(last, seq=last.seq + 1, chain=last.chain)


def _append(like: Event, *, key: bytes = b"", chain: str = "", **columns: Any) -> set[int]:
    values = {**canonical.read(like.canonical), **columns}
    text = canonical.render(values)
    made = Event.objects.create(
        **values, canonical=text, chain=chain or canonical.link(key, values["stream"], like.chain, text)
    )
    return {made.pk}


def swap_actors(world: World) -> set[int]:
    one, two = world.of(world.first)[:2]
    for event, other in ((one, two), (two, one)):
        change(event, actor=other.actor, actor_name=other.actor_name, actor_via=other.actor_via)
    return {one.pk, two.pk}


def move_to_another_action(world: World) -> set[int]:
    event, last = world.of(world.first)[-1], world.of(world.second)[-1]
    return change(event, stream=last.stream, subject=last.subject, seq=last.seq + 1)


def shift_bytes(world: World) -> set[int]:
    event = world.of(world.first)[1]
    return change(event, actor=event.actor[:-1], actor_name=event.actor[-1] + event.actor_name)


def null_for_empty(world: World) -> set[int]:
    event = world.of(world.first)[0]
    return change(event, detail=None if event.detail is not None else {})


def decompose(world: World) -> set[int]:
    event = next(row for row in world.of(world.first) if "ë" in row.actor_name)
    return _reword(event, unicodedata.normalize("NFD", event.actor_name))


def look_alike(world: World) -> set[int]:
    event = next(row for row in world.of(world.first) if "o" in row.actor_name)
    return _reword(event, event.actor_name.replace("o", "о", 1))


def _reword(event: Event, name: str) -> set[int]:
    values = {**canonical.read(event.canonical), "actor_name": name}
    return change(event, actor_name=name, canonical=canonical.render(values))


def change_live_row(world: World) -> set[int]:
    Action.objects.filter(pk=world.first).update(decided_by_name="Tom Reyes")
    return set()


def edit_unsealed(world: World) -> set[int]:
    return change(world.of(world.fifth)[-1], actor_name="Tom Reyes")


def edit_unsealed_and_recompute(world: World) -> set[int]:
    return recompute(world.of(world.fifth), key=FORGER, at=0, actor_name="Tom Reyes")


def drop_unsealed(world: World) -> set[int]:
    """And roll back what it told of. Nothing can tell that it was: hence the window is that short."""
    delete(*world.of(world.fifth))
    _forget(world.fifth)
    return set()


def edit_seal(world: World) -> set[int]:
    seal = Seal.objects.get(number=1)
    said = SealText.read(seal.text)
    Seal.objects.filter(pk=seal.pk).update(text=seal.text.replace(said.leaves[0].hex(), "") + "\n")
    return set()


def delete_seal(world: World) -> set[int]:
    Seal.objects.get(number=1).delete()
    return set()


def sign_with_own_key(world: World) -> set[int]:
    for seal in Seal.objects.all():
        Seal.objects.filter(pk=seal.pk).update(
            key_id=seals.key_id(seals.public_key(FORGER)), signature=seals.sign(FORGER, seal.text)
        )
    return set()


def with_the_audit_key(world: World) -> set[int]:
    """Of an event that changed nothing in the action, whose row would tell otherwise."""
    return recompute(world.of(world.first), key=settings.AUDIT_KEY, at=2, actor_name="Tom Reyes")


def with_both_keys(world: World) -> set[int]:
    found = with_the_audit_key(world)
    reseal()
    return found


def cut_off_seals(world: World) -> set[int]:
    """The sealer would make them anew."""
    Seal.objects.all().delete()
    return set()


def with_the_audit_key_and_no_seals(world: World) -> set[int]:
    cut_off_seals(world)
    found = with_the_audit_key(world)
    sealing.seal()
    return found


def append_with_the_audit_key(world: World) -> set[int]:
    """As true as any other event."""
    last = world.of(world.second)[-1]
    return _append(last, seq=last.seq + 1, key=settings.AUDIT_KEY, actor_name="Tom Reyes")


def _blank(world: World) -> tuple[Event, dict[str, Any], str]:
    """Take out the comment of an event; what it was, its values now and their text."""
    event = world.of(world.first)[2]
    values = redactions.without(canonical.read(event.canonical), BLANKED)
    text = canonical.render(values)
    change(event, detail=values["detail"], canonical=text)
    return event, values, text


def _record_of(event: Event, text: str, *, request: int, by: tuple[str, str]) -> RedactionText:
    at, last = sealing.Horizon.now().at, Redaction.objects.count()
    return RedactionText(
        number=last + 1, at=at, event=event.pk, chain=event.chain, leaf=seals.leaf(event.chain, event.canonical).hex(),
        sha256=redactions.hash_of(text), fields=BLANKED, request=request, requested_by=by[0], approved_by=by[1],
    )  # fmt: skip


def blank(world: World) -> set[int]:
    """As a redaction would, and without one."""
    return {_blank(world)[0].pk}


def blank_and_sign_with_own_key(world: World) -> set[int]:
    event, values, text = _blank(world)
    record = redacted.write(_record_of(event, text, request=event.pk, by=("user:1", "user:2")), values, text)
    own = {"key_id": seals.key_id(seals.public_key(FORGER)), "signature": seals.sign(FORGER, record.text)}
    Redaction.objects.filter(pk=record.pk).update(**own)
    return {event.pk}


def blank_with_the_signing_key(world: World) -> set[int]:
    """And without the audit key: no event tells of it that would fit."""
    event, values, text = _blank(world)
    redacted.write(_record_of(event, text, request=event.pk, by=("user:1", "user:2")), values, text)
    return {event.pk}


def redact_with_both_keys(world: World) -> set[int]:
    """Both people made up."""
    event, values, text = _blank(world)
    said: dict[str, Any] = {"redaction": Redaction.objects.count() + 1, "event": event.pk, "fields": BLANKED}
    told: dict[str, Any] = {"subject": f"event:{event.pk}", "stream": STREAM}
    with transaction.atomic():
        one, two = (Actor(ref, ref, Via.SESSION) for ref in ("user:1", "user:2"))
        asked = {**said, "hash": redactions.hash_of(text)}
        request = log.record(Kind.AUDIT_REDACTION_REQUESTED, by=one, detail=asked, **told)
        record = redacted.write(
            _record_of(event, text, request=request.pk, by=(one.ref, two.ref)), values, text
        )
        log.record(Kind.AUDIT_REDACTED, by=two, detail={**said, "digest": record.digest}, **told)
    sealing.seal()
    return {event.pk}


KIT: Final[Mapping[str, Attack]] = {
    "edit": edit,
    "edit and rehash": edit_and_rehash,
    "edit and recompute all": edit_and_recompute_all,
    "time stamp": time_stamp,
    "delete": delete_one,
    "delete and recompute": delete_and_recompute,
    "delete one action's life": delete_life,
    "cut the tail": cut_tail,
    "roll back": roll_back,
    "empty": empty,
    "swap and renumber": swap,
    "insert forged": insert_forged,
    "append a forged approval": append_approval,
    "duplicate": duplicate,
    "swap actors": swap_actors,
    "move to another action": move_to_another_action,
    "shift bytes between fields": shift_bytes,
    "null for empty": null_for_empty,
    "decompose a letter": decompose,
    "look-alike letter": look_alike,
    "change the live row": change_live_row,
    "edit unsealed": edit_unsealed,
    "edit unsealed and recompute": edit_unsealed_and_recompute,
    "drop unsealed": drop_unsealed,
    "edit a seal": edit_seal,
    "delete a seal": delete_seal,
    "sign with an own key": sign_with_own_key,
    "audit key stolen": with_the_audit_key,
    "both keys stolen": with_both_keys,
}
BEYOND: Final[Mapping[str, Attack]] = {
    "cut off the seals": cut_off_seals,
    "audit key stolen, seals cut off": with_the_audit_key_and_no_seals,
    "append with the audit key": append_with_the_audit_key,
    "blank a text": blank,
    "blank a text, own key": blank_and_sign_with_own_key,
    "blank a text, signing key stolen": blank_with_the_signing_key,
    "redact with both keys": redact_with_both_keys,
}
"""Not among the 29, and worth knowing."""
NEVER: Final = {"drop unsealed", "append with the audit key", "redact with both keys"}
ONLY_BY_COPY: Final = {
    "roll back", "empty", "both keys stolen", "cut off the seals", "audit key stolen, seals cut off",
}  # fmt: skip
"""What stays in itself as it should be."""
