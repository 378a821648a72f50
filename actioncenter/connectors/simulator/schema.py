"""Settings and tables of the simulator."""

from typing import Any, Final

from actioncenter.connectors.base import Delivery

SETTINGS_SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Simulator",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "path": {
            "type": "string",
            "title": "Estate file",
            "description": "The SQLite file of the simulated devices and mailboxes; left out, it lies in the data folder.",
        },
        "delivery": {
            "enum": [delivery.value for delivery in Delivery],
            "default": Delivery.KEYED.value,
            "title": "Delivery",
            "description": "What the simulator does with the same request twice.",
        },
        "chunk": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1000,
            "default": 100,
            "title": "Targets per step",
        },
        "pace": {
            "type": "number",
            "minimum": 0,
            "maximum": 86400,
            "default": 6,
            "title": "Seconds that a scan or a package takes",
        },
    },
}

SECRETS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "token": {
            "type": "string",
            "title": "Token",
            "description": "Where the estate lets in only who knows it.",
            "goesTo": ["path"],
        },
    },
}

VERSION: Final = 1

# `things` holds the state of the estate, the other tables what the simulator remembers about it;
# only `things` counts for the state digest.
TABLES: Final = """
CREATE TABLE things (
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (kind, owner, name)
) WITHOUT ROWID;
CREATE INDEX things_message_id ON things (json_extract(state, '$.message_id')) WHERE kind = 'message';
CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    type INTEGER NOT NULL,
    progress TEXT NOT NULL DEFAULT '{}',
    cancelled INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE answers (
    request TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (request, key)
) WITHOUT ROWID;
CREATE TABLE artefacts (
    request TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (request, key, name)
);
CREATE TABLE effects (
    id INTEGER PRIMARY KEY,
    request TEXT NOT NULL,
    key TEXT NOT NULL,
    type INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX effects_request ON effects (request, key);
CREATE TABLE behaviours (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    times INTEGER,
    calls INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (owner, name)
) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
