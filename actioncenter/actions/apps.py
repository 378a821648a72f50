from django.apps import AppConfig

from actioncenter.audit import triggers


class ActionsConfig(AppConfig):
    name = "actioncenter.actions"
    verbose_name = "Actions"

    def ready(self) -> None:
        place = (
            "old.action_id = NEW.action_id AND old.revision = NEW.revision AND old.user_ref = NEW.user_ref"
            " AND coalesce(old.plan_id, 0) = coalesce(NEW.plan_id, 0)"
        )
        triggers.guard(triggers.Guarded("actions_vote", "what was voted", (place,)))
