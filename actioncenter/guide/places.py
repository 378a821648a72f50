"""Which piece of the documents each page belongs to."""

from collections.abc import Mapping, Sequence
from typing import Final

from actioncenter.guide.documents import INDEX

PIECES: Final[Mapping[str, Sequence[str]]] = {
    INDEX: ["guide:index", "guide:document"],
    "analyst#the-first-page": ["home"],
    "analyst#pending-what-waits-for-you": ["actions:pending", "actions:columns"],
    "analyst#reading-an-action": ["actions:detail", "actions:targets", "actions:look_again"],
    "analyst#approve-reject": ["actions:bulk"],
    "analyst#not-recorded-what-a-409-means": ["actions:decide"],
    "analyst#your-password-again": ["confirm_identity"],
    "analyst#break-the-glass": ["actions:reviews", "actions:judge"],
    "analyst#investigations": ["investigations:list", "investigations:detail"],
    "analyst#by-hand-the-page-of-a-device": ["investigations:devices", "investigations:device", "investigations:act"],
    "analyst#by-hand-the-page-of-a-file": ["investigations:file", "investigations:act_on_file"],
    "analyst#by-hand-the-pages-of-a-mailbox-and-a-message": [
        "investigations:mailbox", "investigations:message", "investigations:act_on_mailbox",
        "investigations:act_on_message",
    ],
    "analyst#by-hand-the-explorer-of-mail": [
        "actions:explorer", "actions:mail_search", "actions:mail_message", "actions:act_on_mail",
    ],
    "analyst#change-it-put-it-off-hand-it-over": [
        "actions:edit", "actions:assign", "actions:defer", "actions:hand_over",
    ],
    "analyst#who-is-on-it-and-talking-about-it": ["actions:take", "actions:give_back", "actions:comment"],
    "analyst#lists-of-your-own": [
        "actions:saved_views", "actions:save_view", "actions:rename_view", "actions:remove_view",
    ],
    "analyst#the-end-of-a-shift": [
        "actions:handovers", "actions:handover", "actions:offer_handover", "actions:accept_handover",
        "actions:cancel_handover",
    ],
    "analyst#history-what-came-of-it": ["actions:history"],
    "analyst#notices": ["notices", "read_notice", "read_notices", "notices_by_mail"],
    "analyst#reports": ["actions:reports"],
    "analyst#keys": ["preferences", "choose_keys", "switch_keys"],
    "admin#device-groups-and-levels": [
        "settings:groups", "settings:group", "settings:level", "settings:keep_level", "settings:confirm_level",
        "settings:cancel_level",
    ],
    "admin#who-must-agree-to-what-approval-rules": [
        "settings:rules", "settings:rule", "settings:add_rule", "settings:remove_rule",
    ],
    "admin#caps-and-when-automation-goes-off": [
        "settings:safeguards", "settings:restore_breaker", "settings:renew",
    ],
    "admin#stops-and-pauses": ["settings:stops", "settings:stop", "settings:resume", "settings:explain"],
    "admin#connectors": [
        "settings:connectors", "settings:connector", "settings:add_connector", "settings:edit_connector", "settings:pace",
        "settings:check_connector", "settings:switch_connector", "settings:rehearse_connector", "settings:reset_connector",
    ],
    "admin#people-and-roles": ["settings:authority"],
    "operator/streams": [
        "settings:streams", "settings:add_stream", "settings:switch_stream", "settings:remove_stream",
    ],
    "operator#is-it-sound": ["ops:health", "ops:accept_restored"],
    "connectors/feeds#consumers": ["feeds:overview", "feeds:add", "feeds:revoke"],
    "connectors/feeds#signed-links": ["feeds:clicks"],
    "auditor#what-the-log-holds": ["auditor:events", "auditor:event"],
    "auditor#what-you-see": ["auditor:story", "auditor:looks"],
    "auditor#is-it-as-it-was-written": ["auditor:verification", "auditor:verify"],
    "auditor#what-is-no-longer-there": [
        "auditor:retention", "auditor:change_retention", "auditor:agree_to_shortening", "auditor:drop_shortening",
        "auditor:place_hold", "auditor:release_hold",
    ],
    "auditor#who-may-decide-and-is-there-oversight": ["auditor:reports", "auditor:report"],
}  # fmt: skip
"""Place -> addresses by name; those that take forms are there too, because they draw the page again with what is wrong."""
PLACES: Final = {page: place for place, pages in PIECES.items() for page in pages}


def place_of(page: str) -> str:
    return PLACES.get(page, INDEX)
