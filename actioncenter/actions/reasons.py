"""The one place that says in words why something waits, runs, doesn't run or was stopped.

Stored are a code and parameters, never sentences, so that wording can change and be translated
without touching hashes. Parameters may come from outside: they are inserted as plain text, cut,
and with invisible characters spelled out; pages escape the result as they escape everything.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from actioncenter.actions.catalogue import BY_CODE, CATALOGUE
from actioncenter.actions.enums import TargetKind
from actioncenter.settings.enums import LEVEL_LABELS
from actioncenter.web.text import in_plain_text

LONGEST_VALUE = 200

_LEVEL_CODES = {level.name.lower(): label for level, label in LEVEL_LABELS.items()}

NOUNS: Mapping[TargetKind, str] = {
    TargetKind.FILE: "the file",
    TargetKind.PROCESS: "the process image",
    TargetKind.SERVICE: "the program of the service",
    TargetKind.DRIVER: "the driver file",
    TargetKind.TASK: "the program of the task",
    TargetKind.DEVICE: "the file that caused it",
}


class Reason(NamedTuple):
    """`cause` is at most five words, for a list column; `sentence` takes parameters in braces."""

    cause: str
    sentence: str


_SET = "{group} is set to {level}"

POLICY: Mapping[str, Reason] = {
    "full_malicious": Reason("Full automation", f"Runs by itself because {_SET}."),
    "full_suspicious": Reason(
        "Suspicious, not malicious", "Waiting because the verdict is only suspicious; that needs a person at every level."
    ),
    "semi_all_malicious": Reason("Level asks for every folder", f"Waiting because {_SET}, which asks for every folder."),
    "semi_all_suspicious": Reason("Suspicious, not malicious", f"Waiting because {_SET} and the verdict is only suspicious."),
    "semi_core_in_core": Reason("In a core folder", f"Waiting because {_SET} and {{thing}} lies in {{place}}."),
    "semi_core_unresolvable": Reason(
        "Folder can't be told", f"Waiting because {_SET} and it can't be told in which folder {{thing}} really lies{{path_shown}}."
    ),
    "semi_core_outside_core": Reason(
        "Outside core folders", f"Runs by itself because {_SET} and {{thing}} lies outside the core folders."
    ),
    "semi_core_no_path": Reason("Not in any folder", f"Runs by itself because {_SET} and this lies in no folder."),
    "semi_core_suspicious": Reason("Suspicious, not malicious", f"Waiting because {_SET} and the verdict is only suspicious."),
    "semi_nontemp_in_temp": Reason("In a temporary folder", f"Runs by itself because {_SET} and {{thing}} lies in {{place}}."),
    "semi_nontemp_outside_temp": Reason(
        "Outside temporary folders", f"Waiting because {_SET} and {{thing}} lies outside the temporary folders{{path_shown}}."
    ),
    "semi_nontemp_no_path": Reason("Not in any folder", f"Waiting because {_SET} and this lies in no temporary folder."),
    "semi_nontemp_unresolvable": Reason(
        "Folder can't be told", f"Waiting because {_SET} and it can't be told in which folder {{thing}} really lies{{path_shown}}."
    ),
    "semi_nontemp_suspicious": Reason("Suspicious, not malicious", f"Waiting because {_SET} and the verdict is only suspicious."),
    "no_threats": Reason("No threats found", "Nothing to do because no threats were found."),
    "level_none": Reason("No automated response", f"Not investigated because {_SET}."),
    "email_malicious": Reason("Mail always needs a person", "Waiting because mail always needs a person, at every automation level."),
    "email_suspicious": Reason(
        "Mail always needs a person",
        "Waiting because mail always needs a person, at every automation level, and the verdict is only suspicious.",
    ),
    "email_no_threats": Reason("No threats found", "Nothing to do because no threats were found."),
    "user_compromised": Reason("Account is compromised", "Runs by itself because the account is compromised."),
    "verdict_unknown": Reason("No verdict", "Nothing to do because there is no verdict yet."),
    "expansion": Reason("Spans 10 or more devices", "Waiting because the same item was found on ten or more devices."),
    "excluded_folder": Reason("Excluded from automation", "Not investigated because an automation exclusion covers {place}."),
    "indicator_allow": Reason("Allowed by an indicator", "Nothing to do because an indicator allows this."),
    "no_level": Reason("No automation level applies", "Waiting because no device group says what may run by itself here."),
    "critical_device": Reason("Critical device", "Waiting because {device} is critical; there a person always decides."),
    "offboard": Reason("Offboarding needs a person", "Waiting because offboarding a device always needs a person."),
    "mail_action": Reason("Mail always needs a person", "Waiting because mail always needs a person, at every automation level."),
    "identity_unsure": Reason(
        "Unsure which device", "Waiting because it isn't certain enough that {device} is the one meant{confidence_shown}."
    ),
    "altered_text": Reason("Text was altered at intake", "Waiting because a text that names the target was cut or cleaned when it came in."),
    "membership_stale": Reason("Device group being recomputed", "Waiting because the device group of {device} is being recomputed."),
    "irreversible": Reason("Can't be undone", "Waiting because this can't be undone."),
    "rejected_before": Reason("Rejected before", "Waiting because {by} rejected the same action before."),
    "breaker_open": Reason(
        "Automation is off here",
        "Waiting because automation is off for this in {group}{bad_shown}; a person has to give it back.",
    ),
    "rail_reached": Reason(
        "Automation cap reached", "Waiting because {group} has used {used} of {cap} automatic actions of this kind within an hour{free_shown}."
    ),
    "no_route": Reason("No connector reaches it", "Waiting because no connector reaches {device}; it can't be approved until one does."),
}  # fmt: skip
"""Every code of `policy`."""

PLANNING: Mapping[str, Reason] = {
    "proposed_by": Reason("Proposed by a person", "Waiting because {by} proposed it and another person decides."),
    "second_person": Reason("Needs a second person", "Waiting because this needs the approval of a second person."),
    "plan_first": Reason("Being looked up", "Waiting until it is read what this would touch. Who asked for it may approve it then."),
    "by_person": Reason("Taken by a person", "{by} took this action directly."),
    "done_again": Reason("No longer in force", "Proposed again by {by}, because what {other} did is no longer in force."),
    "undo": Reason("Undo", "Takes back {action_name}, asked for by {by}."),
    "missing_facts": Reason("Too little is known", "Nothing can be done by itself because it isn't known: {facts}."),
    "withdrawn_investigation": Reason("Investigation was stopped", "Withdrawn because {by} stopped the investigation."),
    "withdrawn_allowed": Reason("Allowed by an indicator", "Withdrawn because an indicator now allows this."),
    "withdrawn_offboarded": Reason("Device was offboarded", "Withdrawn because {device} was offboarded."),
    "withdrawn_superseded": Reason("Replaced by a newer", "Withdrawn because {other} asks for the same."),
    "withdrawn_verdict": Reason("Verdict became better", "Withdrawn because the verdict is no longer bad."),
    "expired_undecided": Reason("Nobody decided in time", "Expired undecided after {days} days. This counts as rejected; nothing was done."),
}  # fmt: skip
"""Codes of planning and of the decision axis."""

EXECUTION: Mapping[str, Reason] = {
    "plan_missing": Reason("Plan not read yet", "Can't be approved before a plan shows what it would hit."),
    "plan_changed": Reason("Plan has changed", "Stopped because what it would hit is no longer what was approved."),
    "plan_expired": Reason("Plan is too old", "Stopped because the plan that was approved is too old."),
    "stale_approval": Reason("Approval is too old", "Stopped because too much time passed since the approval; it is asked again."),
    "stale_automatic": Reason("Waited too long", "Stopped because it waited more than an hour to begin; what still calls for it is judged again."),
    "kill_switch": Reason("Execution is stopped", "Not run because execution is stopped: {reason}."),
    "duplicate_of": Reason("Already processed", "Not run because {other} did the same within the hour."),
    "fingerprint_changed": Reason("Changed since the approval", "Stopped because the action is no longer what was approved."),
    "level_lowered": Reason("Level was lowered", "Stopped because {group} is now set to {level}, where this needs a person."),
    "undo_failed": Reason("Undo failed", "This undo failed. Nothing else begins on its target before somebody has looked and acknowledged that."),
    "drifted": Reason("No longer in force", "What was done is no longer in force{shown}. Nothing is done about that unless somebody decides it."),
    "approved_late": Reason("Approved too late", "Stopped because the approval came after the time to decide was over."),
    "approver_lost": Reason("Approver lost the right", "Stopped because whoever approved it may no longer do so; it is asked again."),
    "verdict_withdrawn": Reason("Verdict was withdrawn", "Stopped because the verdict it rested on is no longer bad."),
    "excluded_now": Reason("Excluded meanwhile", "Stopped because an exclusion covers it now."),
    "allowed_now": Reason("Allowed meanwhile", "Stopped because an indicator allows it now."),
    "critical_now": Reason("Critical meanwhile", "Stopped because {device} is critical now, so a person decides."),
    "membership_unsure": Reason("Group isn't certain", "Stopped because it isn't certain which group {device} is in now, so a person decides."),
    "offboarded": Reason("Device was offboarded", "Stopped because {device} was offboarded."),
    "no_longer_automatic": Reason("Asks a person now", "Stopped because it would wait for a person now: {cause}."),
    "cancelled_by": Reason("Cancelled", "Cancelled by {by}."),
    "cancelled_by_inverse": Reason("Overtaken by its undo", "Cancelled because {other} takes it back."),
    "dry_run": Reason("Dry run, nothing was sent", "Dry run: {connector} sent nothing and changed nothing. What it would have done: {changes}."),
    "nothing_sent": Reason("Nothing had begun", "Not run because {other} was cancelled before anything was sent."),
    "device_offline": Reason("Device is offline", "Waiting for {device} to come back; tried until {until}."),
    "patience_ended": Reason("Device stayed offline", "Given up because {device} could not be reached in time. Nothing was sent."),
    "deadline_passed": Reason("Time ran out", "Stopped because the time for it ran out."),
    "outcome_unknown": Reason("Result not confirmed", "It was sent and no answer came: somebody has to look."),
    "not_in_force": Reason("Not seen in force", "Reported as done, but reading it back doesn't show it."),
    "partly_done": Reason("Partly done", "{done} of {total} targets are done."),
    "unsupported": Reason("Not supported there", "Not possible on {device}: {reason}."),
    "refused": Reason("Refused by the system", "The system refused it: {reason}."),
    "lane_blocked": Reason("Waits for another action", "Waiting for {other}, which touches the same target."),
    "identity_changed": Reason("Target is another", "Stopped because its target is no longer the one that was approved."),
    "reach_exceeded": Reason("Would reach further", "Stopped because more would have been touched than was approved."),
    "surprise": Reason("Something unexpected", "Something unexpected happened. Look, and acknowledge it."),
    "surprise_identity": Reason("Target is another", "Its target is no longer the one that was approved."),
    "surprise_reach": Reason("Would reach further", "It was about to touch more than was approved."),
    "surprise_read_back": Reason("Read back otherwise", "It was reported as done, but reading it back shows something else."),
    "surprise_outside": Reason("Changed from outside", "What was in force was changed from outside."),
    "surprise_foreign": Reason("Answer names others", "The answer speaks of targets that nobody asked for."),
    "surprise_evidence": Reason("Evidence gives orders", "Its evidence claims authority or haste over what is decided. That decides nothing, but somebody should read it."),
    "surprise_audit": Reason("Audit log is broken", "The audit log is not what was written."),
    "no_runner": Reason("No runner is working", "Waiting because no runner is working."),
    "one_way": Reason("Can't be undone", "This kind of action can't be undone."),
    "not_undoable": Reason("Can't be undone now", "It can't be undone: {reason}."),
    "newer_active": Reason("A newer one is active", "{other} is active on the same target; finish or undo it first."),
    "own_proposal": Reason("Your own proposal", "Whoever proposed an action may not decide it."),
    "role": Reason("Another role is needed", "This needs another role."),
    "person": Reason("Needs a person", "Only a signed-in, active person may do this."),
    "already_decided": Reason("Already decided", "Already {decision} by {by} at {at}."),
}  # fmt: skip
"""Codes of the queue, the runner and refusals."""

REASONS: Mapping[str, Reason] = {**POLICY, **PLANNING, **EXECUTION}


class _Words(dict[str, str]):
    """What isn't known is said so, rather than raised: snapshots outlive the code that wrote them."""

    def __missing__(self, name: str) -> str:
        return _UNKNOWN.get(name, "not known")


_UNKNOWN = {
    "group": "the device group",
    "device": "the target",
    "by": "somebody",
    "level": "a level that asks",
}


def cause(code: str) -> str:
    """At most five words, for a list."""
    known = REASONS.get(code)
    return known.cause if known else plain(code).replace("_", " ")


def render(code: str, params: Mapping[str, Any] | None = None) -> str:
    """The whole explanation as plain text: the sentence, then what else would have asked for a person."""
    params = params or {}
    known = REASONS.get(code)
    if known is None:
        return f"{cause(code).capitalize()}."
    sentences = [known.sentence.format_map(_words(params))]
    if str(params.get("indicator", "")).startswith("block"):
        sentences.append("The verdict is malicious because an indicator blocks this.")
    further = [cause(other) for other in _texts(params.get("also"))]
    if further:
        sentences.append(f"Also: {'; '.join(text[0].lower() + text[1:] for text in further)}.")
    return " ".join(sentences)


def _texts(value: Any) -> Iterable[str]:
    return (
        [item for item in value if isinstance(item, str) and item] if isinstance(value, list | tuple) else []
    )


def _words(params: Mapping[str, Any]) -> _Words:
    words = _Words({name: plain(value) for name, value in params.items() if value not in (None, "")})
    if "level" in words:
        words["level"] = _LEVEL_CODES.get(words["level"], words["level"])
    action = BY_CODE.get(words.get("action", ""))
    words["thing"] = NOUNS.get(CATALOGUE[action].kind, "it") if action else "the file"
    words["action_name"] = CATALOGUE[action].label if action else "an action"
    words["place"] = words.get("folder") or words.get("path") or "the folder"
    words["confidence_shown"] = f" ({words['confidence']} of 100)" if "confidence" in words else ""
    words["bad_shown"] = f": {words['bad']} of the last {words['of']} went wrong" if "bad" in words else ""
    words["free_shown"] = f"; the next is free at {words['free_at']}" if "free_at" in words else ""
    words["path_shown"] = f" ({words['path']})" if "path" in words else ""
    return words


def plain(value: Any) -> str:
    """A value as one line of visible text: cut, control and direction marks as code points."""
    return in_plain_text(str(value), LONGEST_VALUE)
