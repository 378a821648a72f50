"""Times as a person reads them, in the time zone of the request."""

from datetime import datetime, timedelta

from django.utils import timezone


def when(moment: datetime | None, now: datetime | None = None) -> str:
    """`14:31` today, `Nov 23, 14:31` this year, else `Nov 23, 2025`; empty for None."""
    if moment is None:
        return ""
    local, today = timezone.localtime(moment), timezone.localtime(now or timezone.now())
    if local.date() == today.date():
        return f"{local:%H:%M}"
    day = f"{local:%b} {local.day}"
    return f"{day}, {local:%H:%M}" if local.year == today.year else f"{day}, {local.year}"


def iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def lasting(span: timedelta) -> str:
    """A duration in its two largest units: `45s`, `12m`, `2h 14m`, `3d 4h`."""
    seconds = max(0, int(span.total_seconds()))
    days, hours, minutes = seconds // 86400, seconds % 86400 // 3600, seconds % 3600 // 60
    if days:
        return f"{days}d {hours}h" if hours else f"{days}d"
    if hours:
        return f"{hours}h {minutes}m" if minutes else f"{hours}h"
    return f"{minutes}m" if minutes else f"{seconds}s"
