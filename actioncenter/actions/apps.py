from django.apps import AppConfig

from actioncenter.audit import triggers
from actioncenter.audit.redactions import MARK


class ActionsConfig(AppConfig):
    name = "actioncenter.actions"
    verbose_name = "Actions"

    def ready(self) -> None:
        place = (
            "old.action_id = NEW.action_id AND old.revision = NEW.revision AND old.user_ref = NEW.user_ref"
            " AND coalesce(old.plan_id, 0) = coalesce(NEW.plan_id, 0)"
        )
        # The newest purge names the action.
        gone = (
            f"EXISTS (SELECT 1 FROM {triggers.PURGES} WHERE actions LIKE '%,' || OLD.action_id || ',%'"  # noqa: S608 - constants
            f" AND number = (SELECT max(number) FROM {triggers.PURGES}))"
        )
        triggers.guard(triggers.Guarded("actions_vote", "what was voted", (place,), gone, changed()))


def changed() -> str:
    """A comment goes, and nothing else, once text was taken out of an event of that person and that action."""
    stays = (
        "id", "action_id", "revision", "fingerprint", "choice", "user_id", "user_ref", "user_name", "plan_id", "mode",
        "cast_at",
    )  # fmt: skip
    same = " AND ".join(f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in stays)
    return (
        f"NEW.comment = '{MARK}' AND {same} AND EXISTS (SELECT 1 FROM {triggers.REDACTIONS}"  # noqa: S608 - constants
        " WHERE stream = 'action:' || OLD.action_id AND actor = OLD.user_ref)"
    )
