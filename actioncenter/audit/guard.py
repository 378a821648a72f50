"""How web server, runner and worker begin: over a log that they can't rewrite, or not at all."""

from actioncenter.audit import authorizer, roles, triggers


def begin() -> None:
    """Once in a process, before it does anything with the database.

    Raises:
        ImproperlyConfigured: triggers are missing, or the database role could rewrite the log.
    """
    triggers.require()
    roles.require()
    authorizer.begin()
