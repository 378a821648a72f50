from actioncenter.auditor.models.records import LEASE, SUBJECT, Overtaken, PageView, VerificationRun
from actioncenter.auditor.models.redacting import RedactionError, RedactionRequest

__all__ = [
    "LEASE",
    "SUBJECT",
    "Overtaken",
    "PageView",
    "RedactionError",
    "RedactionRequest",
    "VerificationRun",
]
