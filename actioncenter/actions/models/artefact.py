"""What came back as files. They lie encrypted in the storage that all hosts share."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import models, transaction
from django.db.models.functions import Now

from actioncenter import vault
from actioncenter.actions.models.settling import event, locked
from actioncenter.actions.permissions import Verb, fresh_rights
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind

if TYPE_CHECKING:
    from actioncenter.actions.models.action import Action


class Sealing(File):  # type: ignore[type-arg]
    """A file that is encrypted while the storage takes it in, whatever its size."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        super().__init__(None)
        self._blocks = blocks

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        return vault.seal_stream(self._blocks)


class Opened:
    """The blocks of one file. Closed at its end, or by whoever stops before; raises InvalidToken as it goes on."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._rest = vault.unseal_stream(file)
        self._first: bytes | None = self._next()

    def __iter__(self) -> "Opened":
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return self._next() if first is None else first

    def _next(self) -> bytes:
        try:
            return next(self._rest)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()


class Artefact(models.Model):
    """A file a connector brought back; the content lies encrypted in storage under `public_id`."""

    action: "models.ForeignKey[Action, Action]" = models.ForeignKey(
        "actions.Action", on_delete=models.CASCADE, related_name="artefacts"
    )
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=255)
    media_type = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    password = models.CharField(max_length=64, blank=True, db_default="")
    """What opens it where it is locked, so that nobody runs it by mistake. Known to everybody, so no secret."""
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name

    def keep(self, content: bytes) -> None:
        """Into the storage that all hosts share, encrypted."""
        self.keep_blocks([content])

    def keep_blocks(self, blocks: Iterable[bytes]) -> None:
        """As `keep`, as they come. Where they break off nothing stays."""
        try:
            default_storage.save(self.place, Sealing(blocks))
        except BaseException:
            self.forget()
            raise

    def forget(self) -> None:
        """The file of a row that was never saved."""
        default_storage.delete(self.place)

    def content(self) -> bytes:
        """Raises OSError where the storage doesn't have it, and InvalidToken where it was changed."""
        return b"".join(self.blocks())

    def blocks(self) -> "Opened":
        """As `content`, block by block; the first is read at once, so that what isn't there shows now."""
        return Opened(default_storage.open(self.place))

    def renew_encryption(self) -> bool:
        """Under the current key; whether that was needed. Raises OSError, and InvalidToken without the old key."""
        path = Path(default_storage.path(self.place))
        with path.open("rb") as source:
            if vault.is_current(vault.head_of(source)):
                return False
            source.seek(0)
            draft = path.with_suffix(".renewed")
            with draft.open("wb") as out:
                out.writelines(vault.renewed_stream(source))
        draft.replace(path)
        return True

    def is_encrypted_with(self, key: bytes) -> bool:
        """Raises OSError."""
        with default_storage.open(self.place) as file:
            return vault.is_of(key, vault.head_of(file))

    def hand_out(self, *, by: Actor) -> None:
        """Write down that somebody takes it away. Raises NotVisible and Refused."""
        with transaction.atomic():
            row = locked(self.action)
            fresh_rights(by).require(Verb.DOWNLOAD, row)
            event(row, Kind.ARTEFACT_DOWNLOADED, by, after=self.told)

    @property
    def told(self) -> dict[str, Any]:
        """In the log."""
        return {"file": str(self.public_id), "name": self.name, "size": self.size, "sha256": self.sha256}

    @property
    def place(self) -> str:
        """In the storage."""
        return f"artefacts/{self.public_id}"


def keep(action: "Action", artefacts: Sequence[Artefact], *, by: Actor) -> None:
    """The rows of what lies in the storage. The caller holds the action's lock."""
    for row in Artefact.objects.bulk_create(artefacts):
        event(action, Kind.ARTEFACT_KEPT, by, after=row.told)
