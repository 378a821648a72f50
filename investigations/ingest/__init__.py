"""Stores what a source reported. Idempotent: the same document again changes nothing."""

from investigations.ingest.recording import Recorded, Result, record_alerts

__all__ = ["Recorded", "Result", "record_alerts"]
