"""Files that an action brought back, as its page shows them."""

from typing import Any

from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from actioncenter.actions.permissions import Verb
from actioncenter.actions.queries import Viewer
from actioncenter.actions.queries.details import Details
from actioncenter.actions.rows import iso


def files_of(details: Details, viewer: Viewer) -> dict[str, Any]:
    """Every one, and why this person may take none away."""
    refusal = viewer.rights.refusal(Verb.DOWNLOAD, details.action)
    return {
        "why_not": str(refusal or ""),
        "rows": [
            {
                "name": row.name,
                "url": reverse("actions:artefact_file", args=[details.action.pk, row.public_id]),
                "size": filesizeformat(row.size),
                "sha256": row.sha256,
                "password": row.password,
                "at": viewer.when(row.created_at),
                "at_iso": iso(row.created_at),
            }
            for row in details.files
        ],
    }
