"""Collect an investigation package: what somebody who looks into this host asks for first, in one archive.

It is put together by a job into a file for root alone, sent from there, and tidied away. What can't be read or
takes too long is left out, and the manifest says so; only what would make it too large ends it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import time
from typing import IO, Callable, Iterator, Tuple

from actioncenter.connectors.ssh.target import evidence, jobs, journal, streams, vault
from actioncenter.connectors.ssh.target.places import Json, Refusal

Part = Tuple[str, bytes]
SECONDS = 600
SECTIONS: Tuple[Tuple[str, Callable[[], Iterator[Part]]], ...] = (
    ("processes", evidence.processes_now),
    ("commands", evidence.commands),
    ("system", evidence.system_files),
    ("people", evidence.of_people),
    ("logs", evidence.logs),
    ("writable", evidence.writable),
)


def observe(item: Json, call: Json) -> Json:
    known: Json = journal.known(call["id"]).get(item["key"], {})
    return {"brought": known.get("outcome") == "succeeded"}


def begin(item: Json, call: Json) -> Json:
    return jobs.begin(item, call, collect)


def send(item: Json, told: Json, head: Json) -> None:
    try:
        handle = os.open(jobs.product(told["file"]), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Refusal("gone", "It was not taken away in time and isn't kept any more.") from None
    try:
        streams.send(handle, head, told)
    finally:
        os.close(handle)


def collect(item: Json, call: Json, progress: jobs.Progress) -> Json:
    name = vault.name_of(call["id"], item["key"])
    path = jobs.product(name)
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        out = Limited(file, int(call["most"]))
        try:
            manifest = _written(out, min(SECONDS, int(call["limit"])), progress)
        except Refusal:
            os.unlink(path)
            raise
        file.flush()
        os.fsync(file.fileno())
    told = {"file": name, "sha256": out.sha256.hexdigest(), "size": out.size, "items": len(manifest["items"])}
    return {"outcome": "succeeded", "after": {**told, "left_out": sorted(manifest["left_out"])[:20]}}


class Limited(io.RawIOBase):
    """Counts and hashes what passes; raises Refusal where that becomes too much."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        super().__init__()
        self._file = file
        self._most = most
        self.size = 0
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, block: bytes) -> int:  # type: ignore[override]
        self.size += len(block)
        if self.size > self._most:
            raise Refusal("too_big", "It would be larger than what is taken.")
        self.sha256.update(block)
        self._file.write(block)
        return len(block)


def _written(out: Limited, seconds: int, progress: jobs.Progress) -> Json:
    manifest: Json = {"host": os.uname().nodename, "begun": int(time.time()), "items": {}, "left_out": {}}
    end = time.monotonic() + seconds
    packed = gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, filename="", mtime=0)
    with packed, tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for number, (section, parts) in enumerate(SECTIONS):
            progress.told(number, len(SECTIONS))
            try:
                _section(archive, section, parts(), end, manifest)
            except OSError as error:
                manifest["left_out"][section] = os.strerror(error.errno or 0)
        _add(archive, "manifest.json", json.dumps(manifest, indent=1).encode())
    return manifest


def _section(
    archive: tarfile.TarFile, section: str, parts: Iterator[Part], end: float, manifest: Json
) -> None:
    for name, content in parts:
        if time.monotonic() > end:
            manifest["left_out"][section] = "out of time"
            return
        _add(archive, f"{section}/{name}", content)
        manifest["items"][f"{section}/{name}"] = {
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(os.fsencode(name).decode("utf-8", "backslashreplace"))
    entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
    archive.addfile(entry, io.BytesIO(content))
