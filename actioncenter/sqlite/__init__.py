"""The SQLite backend of Django with a fair wait for the one write lock (docs/adr/0042-waiting-for-sqlite.md)."""
