"""Whether what stands in the database is what the audit log says."""

from actioncenter.auditor.verification.comparing import Difference, differences

__all__ = ["Difference", "differences"]
