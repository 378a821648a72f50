"""Addresses that change nothing that the log has to tell of: each stands here or among the cases of `asked`."""

from collections.abc import Mapping
from typing import Final

LEAVES_NOTHING: Final[Mapping[str, str]] = {
    "sign_in": "nobody is signed in yet; told on its own below",
    "read_notice": "what somebody has read of their own notices concerns nobody else",
    "read_notices": "as read_notice",
}
TAKEN_AWAY: Final = frozenset({
    "settings:authority_file", "auditor:report_file", "actions:export", "actions:targets_file", "actions:artefact_file",
    "actions:reports_file",
})  # fmt: skip
"""Addresses that only answer, and what they answer leaves the house."""
READ_ONLY: Final = frozenset({
    "guide:index", "guide:document", "guide:tour", "guide:end_tour",
    "home", "notices", "live:counts", "investigations:list", "investigations:detail", "investigations:devices", "investigations:device", "investigations:file",
    "investigations:mailbox", "investigations:message",
    "actions:pending", "actions:history", "actions:detail", "actions:targets", "actions:mail_search", "actions:assign", "actions:handovers", "actions:handover",
    "actions:reviews", "actions:reports", "actions:saved_views", "ops:metrics", "ops:health",
    "auditor:events", "auditor:event", "auditor:story", "auditor:verification", "auditor:looks", "auditor:reports",
    "auditor:report", "feeds:click", "feeds:clicks", "feeds:overview", "feeds:pull", "feeds:pull_by_address", "preferences", "settings:authority", "auditor:retention", "settings:connector", "settings:connectors", "settings:streams", "settings:groups", "settings:group", "settings:rules", "settings:stops",
})  # fmt: skip
