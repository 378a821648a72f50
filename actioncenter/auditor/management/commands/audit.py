"""`manage.py audit`: is the log as it was written, and a file of it that others can check."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, transaction

from actioncenter.audit import chaining, log, seals, signing, standalone
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Seal
from actioncenter.audit.trust import Trust
from actioncenter.auditor import exporting, packs, purging
from actioncenter.auditor.enums import RunResult
from actioncenter.auditor.management import redacting
from actioncenter.auditor.models import SUBJECT
from actioncenter.auditor.verification.whole import Audit, UnreadableCopies, Wrong
from actioncenter.settings import checkpoints


class Command(BaseCommand):
    help = "Work with the audit log."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verify = verbs.add_parser(
            "verify", help="Recompute chains and seals; exit 1 and name the first bad row."
        )
        verify.add_argument(
            "--file", type=Path, metavar="EXPORT", help="Check this export instead of the database."
        )
        verify.add_argument(
            "--against",
            action="append",
            type=Path,
            default=[],
            metavar="FILE",
            help="Copies of seals kept elsewhere.",
        )
        verify.add_argument(
            "--public-key", action="append", type=public_key, default=[], metavar="HEX|FILE",
            help="Trust seals signed with this key, instead of this installation's.",
        )  # fmt: skip
        export = verbs.add_parser("export", help="Write the log as a file that anybody can check.")
        export.add_argument(
            "--out", type=Path, required=True, metavar="FILE", help="Made anew; never overwritten."
        )
        pack = verbs.add_parser(
            "pack", help="Write what the log tells of something, to be read and checked elsewhere."
        )
        what = pack.add_mutually_exclusive_group(required=True)
        what.add_argument("--action", type=int, metavar="N", help="A-N, and its undo.")
        what.add_argument("--investigation", type=int, metavar="N", help="With its actions.")
        what.add_argument("--since", type=moment, metavar="TIME", help="All events of a time, with --until.")
        pack.add_argument("--until", type=moment, metavar="TIME", help="Just before this moment.")
        pack.add_argument(
            "--out", type=Path, required=True, metavar="FILE", help="Made anew; never overwritten."
        )
        script = verbs.add_parser(
            "script", help="Write the verifier of exports, one file that needs no product."
        )
        script.add_argument(
            "--out", type=Path, required=True, metavar="FILE", help="Made anew; never overwritten."
        )
        key = verbs.add_parser(
            "key", help="Print the public key that the first seal was signed with; all others follow."
        )
        redact = verbs.add_parser("redact", help="Take personal text out of an event; it takes two admins.")
        redacting.add_arguments(redact)
        for each in (verify, export, pack, script, key):
            each.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        as_json = bool(options["json"])
        if verb == "key":
            first, known = first_key(), seals.by_id(signing.known())
            said: dict[str, Any] = {"key": seals.key_id(first), "public_key": first.hex()}
            said["all"] = {key: public.hex() for key, public in known.items()}
            self._say(said, first.hex(), as_json=as_json)
        elif verb == "redact":
            said, text = redacting.carry_out(options["step"], options)
            self._say(said, text, as_json=as_json)
        elif verb == "export":
            self._export(options["out"], as_json=as_json)
        elif verb == "script":
            self._script(options["out"], as_json=as_json)
        elif verb == "pack":
            self._pack(options["out"], options, as_json=as_json)
        elif options["file"]:
            self._verify_file(options["file"], options["public_key"], options["against"], as_json=as_json)
        else:
            self._verify(options["public_key"], options["against"], as_json=as_json)

    def _say(self, said: dict[str, Any], text: str, *, as_json: bool) -> None:
        self.stdout.write(json.dumps(said) if as_json else text)

    def _verify(self, given: Sequence[bytes], against: Sequence[Path], *, as_json: bool) -> None:
        own = checkpoints.path()
        copies = [*([own] if own.exists() else []), *against]
        audit = Audit(Trust(given or signing.known()), copies, archives=purging.folder())
        try:
            wrong = next(audit.wrong(), None)
        except UnreadableCopies as error:
            _record(audit, RunResult.FAILED, trouble=str(error))
            raise CommandError(str(error), returncode=2) from error
        result = RunResult.WRONG if wrong else RunResult.SOUND
        recorded = _record(audit, result, first_bad=wrong.as_json() if wrong else None)
        unsaid = (
            [] if recorded else ["The database can't be written, so no event tells of this verification."]
        )
        said = {**_as_json(audit, wrong), "recorded": recorded}
        self._say(said, "\n".join([*_told(audit, wrong), *unsaid]), as_json=as_json)
        if wrong is not None:
            raise SystemExit(1)

    def _verify_file(
        self, file: Path, given: Sequence[bytes], against: Sequence[Path], *, as_json: bool
    ) -> None:
        """A file of others is checked without our audit key, which says nothing of it."""
        if len(against) > 1:
            raise CommandError("--file is compared with one --against at a time.", returncode=2)
        try:
            result = standalone.verify_file(
                file,
                public_keys=given or signing.known(),
                audit_keys=() if given else chaining.held(),
                against=next(iter(against), None),
            )
        except standalone.Unusable as error:
            raise CommandError(f"{file}: {error}", returncode=2) from error
        self._say(result.as_json(), "\n".join(standalone.sentences(result)), as_json=as_json)
        if result.problem:
            raise SystemExit(1)

    def _export(self, out: Path, *, as_json: bool) -> None:
        try:
            counted = exporting.write(out, by=Actor.command("audit export"))
        except OSError as error:
            raise CommandError(f"{out} can't be written: {error}", returncode=2) from error
        text = f"{counted['events']} events and {counted['seals']} seals written to {out}."
        self._say({"file": str(out), **counted}, text, as_json=as_json)

    def _script(self, out: Path, *, as_json: bool) -> None:
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(exporting.script())
        except OSError as error:
            raise CommandError(f"{out} can't be written: {error}", returncode=2) from error
        self._say({"file": str(out)}, f"The verifier was written to {out}.", as_json=as_json)

    def _pack(self, out: Path, asked: Mapping[str, Any], *, as_json: bool) -> None:
        if bool(asked["since"]) != bool(asked["until"]):
            raise CommandError("--since and --until go together.", returncode=2)
        try:
            counted = packs.write(out, _scope(asked), by=Actor.command("audit pack"))
        except packs.NothingThere as nothing:
            raise CommandError(str(nothing), returncode=2) from nothing
        except OSError as error:
            raise CommandError(f"{out} can't be written: {error}", returncode=2) from error
        text = f"{counted['events']} events and {counted['seals']} seals written to {out}."
        self._say({"file": str(out), **counted}, text, as_json=as_json)


def _record(
    audit: Audit, result: RunResult, *, first_bad: Mapping[str, Any] | None = None, trouble: str = ""
) -> bool:
    """Tell of it as the page does; False where the database only reads."""
    detail = {"first_bad": first_bad, "trouble": trouble}
    try:
        with transaction.atomic():
            log.record(
                Kind.AUDIT_VERIFIED, by=Actor.command("audit verify"), subject=SUBJECT,
                after={"result": result.name, "counts": audit.counts()}, detail=detail,
            )  # fmt: skip
    except DatabaseError:
        return False
    return True


def _scope(asked: Mapping[str, Any]) -> packs.Scope:
    if asked["action"]:
        return packs.of_action(asked["action"])
    if asked["investigation"]:
        return packs.of_investigation(asked["investigation"])
    return packs.of_period(asked["since"], asked["until"])


def moment(text: str) -> datetime:
    """A day or a moment in ISO 8601; without a zone it is UTC."""
    try:
        said = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text} is no time such as 2026-11-29 or 2026-11-29T03:00"
        ) from error
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def first_key() -> bytes:
    """The one that signed the first seal: whoever trusts it can follow to all others. Else the current one."""
    known = signing.known()
    first = Seal.objects.filter(number=1).values_list("key_id", flat=True).first()
    return seals.by_id(known).get(first or "", known[0])


def public_key(text: str) -> bytes:
    """32 bytes in hex, or a file of that."""
    try:
        said = Path(text).read_text(encoding="ascii") if Path(text).is_file() else text
        key = bytes.fromhex(said.split()[-1])
    except (OSError, ValueError, IndexError) as error:
        raise argparse.ArgumentTypeError(f"{text} is no public key: {error}") from error
    if len(key) != 32:
        raise argparse.ArgumentTypeError(f"{text} has {len(key)} bytes, a public key has 32")
    return key


def _as_json(audit: Audit, wrong: Wrong | None) -> dict[str, Any]:
    return {
        "ok": wrong is None,
        **audit.counts(),
        "audit_keys": dict(audit.chains.keys.used),
        "handed_over_to": audit.sealing.trust.signers,
        "archives_missing": audit.absent,
        "first_bad": wrong and wrong.as_json(),
    }


def _told(audit: Audit, wrong: Wrong | None) -> Iterator[str]:
    if wrong is not None:
        yield str(wrong)
        return
    yield f"{audit.chains.events} events in {audit.chains.streams} streams are as written."
    if len(used := audit.chains.keys.used) > 1:
        yield f"They were chained with {len(used)} keys: {', '.join(f'{key} ({number})' for key, number in used.items())}."
    waiting = f", {audit.sealing.pending} wait for one" if audit.sealing.pending else ""
    yield f"{audit.sealing.sealed} of them are held by {audit.sealing.seals} seals{waiting}."
    if audit.sealing.trust.signers:
        yield f"The signing key was handed over to {', then to '.join(audit.sealing.trust.signers)}."
    if audit.absent:
        yield f"Not in {purging.folder()}, so not compared: {', '.join(audit.absent)}."
    if audit.copies:
        doubt = f"; {audit.unproved} aren't signed with a trusted key" if audit.unproved else ""
        yield f"{audit.copies - audit.unproved} copies of seals agree{doubt}."
    else:
        yield "No copy of a seal was compared: whether the log was cut back as a whole can't be told."
