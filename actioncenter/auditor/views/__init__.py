"""Pages for auditors and admins, who see everything."""

from actioncenter.auditor.views.events import event, events
from actioncenter.auditor.views.looks import looks
from actioncenter.auditor.views.reports import report, report_file, reports
from actioncenter.auditor.views.retention import (
    agree_to_shortening,
    change_retention,
    drop_shortening,
    place_hold,
    release_hold,
    retention,
)
from actioncenter.auditor.views.story import story
from actioncenter.auditor.views.verification import verification, verify

__all__ = [
    "agree_to_shortening",
    "change_retention",
    "drop_shortening",
    "event",
    "events",
    "looks",
    "place_hold",
    "release_hold",
    "report",
    "report_file",
    "reports",
    "retention",
    "story",
    "verification",
    "verify",
]
