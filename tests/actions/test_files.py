"""Files that came back: encrypted where they lie, handed out to those who may, and every time written down."""

import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import InvalidToken
from django.core.files.storage import default_storage
from django.test import Client

from actioncenter import vault
from actioncenter.actions.enums import ActionType
from actioncenter.actions.execution import artefacts
from actioncenter.actions.models import Action, Artefact, LeaseLost
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.auditor import seen
from actioncenter.auditor.looking import views
from actioncenter.connectors import base
from tests import factories
from tests.actions.directly import taken

pytestmark = pytest.mark.django_db
BLOCK = 1 << 20


def stored(*blocks: bytes) -> bytes:
    return b"".join(vault.seal_stream(blocks))


def opened(sealed: bytes) -> bytes:
    return b"".join(vault.unseal_stream(io.BytesIO(sealed)))


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_what_is_kept_comes_back(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    sealed = stored(content[: size // 3], b"", content[size // 3 :])
    assert opened(sealed) == content
    assert size < 100 or content[:100] not in sealed


def test_what_was_kept_as_one_token_is_still_read() -> None:
    assert opened(vault.seal_bytes(b"an old one")) == b"an old one"


HARM: dict[str, Callable[[bytes], bytes]] = {
    "cut at a block": lambda sealed: sealed[: -(BLOCK + 16)],
    "cut in a block": lambda sealed: sealed[:-7],
    "cut in its head": lambda sealed: sealed[:6],
    "a bit": lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),
    "another key": lambda sealed: (
        stored(b"x")[: len(vault.seal_bytes(bytes(32))) + 8] + sealed[len(vault.seal_bytes(bytes(32))) + 8 :]
    ),
    "blocks in another order": lambda sealed: (
        sealed[: -2 * (BLOCK + 16)] + sealed[-(BLOCK + 16) :] + sealed[-2 * (BLOCK + 16) : -(BLOCK + 16)]
    ),
    "more behind it": lambda sealed: sealed + b"more",
    "a huge head": lambda sealed: sealed[:4] + b"\xff\xff\xff\xff" + sealed[8:],
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_what_was_changed_where_it_lies_is_never_opened(harm: Callable[[bytes], bytes]) -> None:
    sealed = stored(b"a" * BLOCK, b"b" * BLOCK, b"c" * BLOCK)
    with pytest.raises(InvalidToken):
        opened(harm(sealed))


def test_large_files_pass_through_little_memory() -> None:
    """Nothing is ever held but a few blocks: what was asked for is what was handed on."""
    given = 0

    def blocks() -> Iterator[bytes]:
        nonlocal given
        for _ in range(64):
            given += 1
            yield bytes(BLOCK)

    for taken_out, _ in enumerate(vault.seal_stream(blocks())):
        assert given <= taken_out + 3


# A file of an action


@pytest.fixture
def package(run: Callable[..., None]) -> Action:
    action = taken(ActionType.COLLECT_PACKAGE, factories.device(in_group=factories.group()))
    run(action)
    return action


def address(action: Action) -> str:
    return f"/action-center/actions/{action.pk}/files/{action.artefacts.get().public_id}"


def downloads() -> list[Event]:
    return list(Event.objects.filter(kind=Kind.ARTEFACT_DOWNLOADED))


def whole(response: object) -> bytes:
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


def test_it_is_shown_downloaded_and_written_down(client: Client, package: Action) -> None:
    client.force_login(factories.person("mira"))
    row = package.artefacts.get()
    page = client.get(f"/action-center/actions/{package.pk}").content.decode()
    assert address(package) in page
    assert row.sha256 in page

    response = client.get(address(package))

    assert response.status_code == 200
    assert whole(response) == row.content()
    assert response["Content-Disposition"] == f'attachment; filename="{row.name}"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Type"] == "application/zip"
    assert response["Content-Length"] == str(row.size)
    assert response["Cache-Control"] == "no-store"
    kept = Event.objects.get(kind=Kind.ARTEFACT_KEPT)
    (event,) = downloads()
    told = {"file": str(row.public_id), "name": row.name, "size": row.size, "sha256": row.sha256}
    assert (kept.after, event.after) == (told, told)
    assert (event.stream, event.actor_name) == (f"action:{package.pk}", "Mira Chen")
    views.flush()
    viewed = seen.page(pages="file", since=event.at - timedelta(seconds=5)).rows
    assert address(package) in [view.address for view in viewed]


def test_out_of_scope_there_is_no_such_file(client: Client, package: Action) -> None:
    Action.objects.filter(pk=package.pk).update(group_id=factories.closed_group().pk)
    client.force_login(factories.person("mira"))
    assert client.get(address(package)).status_code == 404
    assert downloads() == []


def test_of_another_action_it_is_no_file_of_this_one(client: Client, package: Action) -> None:
    other = factories.waiting_action()
    client.force_login(factories.person("noa"))
    wrong = address(package).replace(f"/{package.pk}/", f"/{other.pk}/")
    assert client.get(wrong).status_code == 404
    assert downloads() == []


@pytest.mark.parametrize("who", ["ivo", "nobody"])
def test_who_may_not_run_it_may_not_have_it(client: Client, package: Action, who: str) -> None:
    client.force_login(factories.person(who))
    page = client.get(f"/action-center/actions/{package.pk}").content.decode()
    assert address(package) not in page
    assert client.get(address(package)).status_code in {403, 404}
    assert downloads() == []


def test_only_reading_it_is_answered(client: Client, package: Action) -> None:
    client.force_login(factories.person("mira"))
    assert client.post(address(package)).status_code == 405
    client.logout()
    assert client.get(address(package)).status_code in {302, 403}


def test_what_the_storage_lost_or_changed_is_not_handed_out(client: Client, package: Action) -> None:
    client.force_login(factories.person("mira"))
    path = Path(default_storage.path(package.artefacts.get().place))
    path.write_bytes(path.read_bytes()[:-5])
    assert client.get(address(package)).status_code == 410
    path.unlink()
    assert client.get(address(package)).status_code == 410
    assert downloads() == []


def test_a_hostile_name_stays_a_name(client: Client, package: Action) -> None:
    name = '"; filename="../../x.html\r\nSet-Cookie: a=b\u202egpj.<script>'
    Artefact.objects.filter(action=package).update(name=name, media_type="text/html")
    client.force_login(factories.person("mira"))
    response = client.get(address(package))
    assert response["Content-Disposition"] == (
        'attachment; filename="filename_.._.._x.html_Set-Cookie_a_b_gpj._script"'
    )
    assert response["Content-Type"] == "application/octet-stream"
    assert whole(response)
    assert "<script>" not in client.get(f"/action-center/actions/{package.pk}").content.decode()


def brought(content: bytes | base.Spooled) -> list[base.Artefact]:
    return [base.Artefact("a.zip", "application/zip", content)]


def kept_files() -> set[str]:
    try:
        return set(default_storage.listdir("artefacts")[1])
    except FileNotFoundError:
        return set()


def test_what_breaks_off_leaves_nothing() -> None:
    class Broken:
        def blocks(self) -> Iterator[bytes]:
            yield bytes(BLOCK)
            raise OSError("the connection broke")

    before, action = kept_files(), factories.waiting_action()
    with (
        pytest.raises(OSError, match="broke"),
        artefacts.stored(action, [*brought(b"x"), *brought(Broken())]),
    ):
        pass
    assert kept_files() == before


def test_of_a_runner_that_lost_its_lease_nothing_stays() -> None:
    before, action = kept_files(), factories.waiting_action()
    with pytest.raises(LeaseLost), artefacts.stored(action, brought(b"x")):
        raise LeaseLost
    assert kept_files() == before
