"""Notices by mail. The row is the queue: a try is written down before the server is called.

So two runners never make the same try, and one that dies on the way leaves a try with an unclear end,
which is repeated later under the same Message-ID. After the last try the audit log and the notices
page say that the mail did not arrive.
"""

import logging
import smtplib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core import mail
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from actioncenter.accounts.enums import Severity
from actioncenter.accounts.models import Notice, User
from actioncenter.audit import log
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.web import text

logger = logging.getLogger(__name__)
WAITS: Final = tuple(timedelta(minutes=minutes) for minutes in (2, 5, 15, 60, 60))
"""How long after each try the next one comes; there are as many tries."""
TRIES: Final = len(WAITS)
AT_ONCE: Final = 200
LISTED: Final = 50
"""Notices that one mail spells out."""
PREFIX: Final = "[Action center]"
UNCLEAR: Final = "The last try ended without an answer."


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent as one mail: one loud notice, or the quiet ones of an hour."""

    user: User
    notices: Sequence[Notice]

    @property
    def ids(self) -> list[int]:
        return [notice.pk for notice in self.notices]

    @property
    def subject(self) -> str:
        first, number = self.notices[0], len(self.notices)
        if number > 1:
            return f"{PREFIX} {number} notices"
        loud = "Urgent: " if first.severity == Severity.URGENT else ""
        return f"{PREFIX} {loud}{text.in_plain_text(first.title)}"

    @property
    def body(self) -> str:
        parts = [self._told(notice) for notice in self.notices[:LISTED]]
        if len(self.notices) > LISTED:
            parts.append(f"And {len(self.notices) - LISTED} more.")
        return "\n\n".join([*parts, f"-- \nAll notices, and whether they are mailed: {link('/notices')}\n"])

    @property
    def message_id(self) -> str:
        """The same whenever this is sent again. The secret keeps two installations apart."""
        number = self.notices[0].pk
        digest = salted_hmac("accounts.mail", str(number), algorithm="sha256").hexdigest()[:16]
        host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip("> ")
        return f"<notice-{number}.{digest}@{host}>"

    def message(self) -> mail.EmailMessage:
        headers = {"Message-ID": self.message_id, "Auto-Submitted": "auto-generated"}
        return mail.EmailMessage(self.subject, self.body, to=[self.user.email], headers=headers)

    def _told(self, notice: Notice) -> str:
        at = notice.created_at.astimezone(self.user.zone)
        lines = [text.in_plain_text(line) for line in (notice.title, *notice.lines)]
        lines.append(f"{at:%Y-%m-%d %H:%M %Z}")
        return "\n".join([*lines, link(notice.path)] if notice.path else lines)


def link(path: str) -> str:
    """Opens a page; no address of ours decides anything by being opened."""
    return f"{settings.PUBLIC_URL}{path}"


def is_due() -> bool:
    return settings.MAIL_ON and Notice.objects.due_by_mail().exists()


def deliver(by: Actor) -> int:
    """Send what is due; returns how many mails the server took. Ends early when it can't be reached."""
    sent = 0
    for user_id, ids in _folded():
        letter = _claim(user_id, ids, by=by)
        if letter is None:
            continue
        try:
            _send(letter.message())
        except (OSError, ValueError) as error:
            _failed(letter, _told(error), by=by)
            if _is_unreachable(error):
                break
        else:
            _mark_sent(letter)
            sent += 1
    return sent


def _folded() -> Iterator[tuple[int, list[int]]]:
    """Person and notices of each mail that is due, the loud ones first."""
    due = Notice.objects.due_by_mail().order_by("-severity", "pk")
    quiet: defaultdict[int, list[int]] = defaultdict(list)
    for pk, user_id, severity in due.values_list("pk", "user_id", "severity")[:AT_ONCE]:
        if severity == Severity.INFO:
            quiet[user_id].append(pk)
        else:
            yield user_id, [pk]
    yield from quiet.items()


def _claim(user_id: int, ids: Sequence[int], *, by: Actor) -> Letter | None:
    """Write the try down; None if another took it, nobody wants it (any more), or it was the last."""
    with transaction.atomic():
        due = Notice.objects.due_by_mail().filter(pk__in=ids).order_by("pk")
        if connection.features.has_select_for_update:
            # Waited for, not skipped: two runners would share out what belongs into one mail.
            due = due.select_for_update()
        rows = list(due)
        user = User.objects.filter(pk=user_id, is_active=True, notices_by_mail=True).exclude(email="").first()
        if user is None:
            Notice.objects.filter(pk__in=[row.pk for row in rows]).update(mail_after=None)
            return None
        spent = [row for row in rows if row.mail_tries >= TRIES]
        if spent:
            _give_up(Letter(user, spent), UNCLEAR, by=by)
        rows = [row for row in rows if row.mail_tries < TRIES]
        if not rows:
            return None
        wait = WAITS[max(row.mail_tries for row in rows)]
        mine = Notice.objects.filter(pk__in=[row.pk for row in rows])
        mine.update(mail_tries=F("mail_tries") + 1, mail_after=Now() + wait)
    return Letter(user, rows)


def _send(message: mail.EmailMessage) -> None:
    """Raises OSError (which smtplib's errors are) and ValueError."""
    server = mail.get_connection()
    try:
        # Opened here, so that an error at the end can't be taken for one of the mail.
        server.open()
        server.send_messages([message])
    finally:
        try:
            server.close()
        except OSError:
            # It has taken or refused the mail before; how it says goodbye changes nothing.
            logger.info("the mail server broke off at the end")


def _mark_sent(letter: Letter) -> None:
    Notice.objects.filter(pk__in=letter.ids).update(mailed_at=Now(), mail_after=None, mail_error="")


def _failed(letter: Letter, error: str, *, by: Actor) -> None:
    logger.warning("mail to %s failed: %s", letter.user.ref, error)
    with transaction.atomic():
        Notice.objects.filter(pk__in=letter.ids).update(mail_error=error)
        spent = [row for row in letter.notices if row.mail_tries + 1 >= TRIES]
        if spent:
            _give_up(Letter(letter.user, spent), error, by=by)


def _give_up(letter: Letter, error: str, *, by: Actor) -> None:
    Notice.objects.filter(pk__in=letter.ids).update(mail_after=None, mail_error=error)
    log.record(
        Kind.NOTICE_UNDELIVERED,
        by=by,
        subject=letter.user.ref,
        subject_name=letter.user.shown_name,
        detail={"notices": letter.ids, "tries": TRIES, "error": error},
    )


def _told(error: Exception) -> str:
    """What the server said, as one short line. smtplib never repeats a password."""
    said = " ".join(str(error).split()) or type(error).__name__
    return text.in_plain_text(text.capped(said, 200))[:300]


def _is_unreachable(error: Exception) -> bool:
    """Nothing is wrong with the mail: the next one would fail just so."""
    if isinstance(error, (smtplib.SMTPServerDisconnected, smtplib.SMTPConnectError)):
        return True
    return isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException)
