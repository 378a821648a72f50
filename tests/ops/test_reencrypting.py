"""What lies encrypted comes under the new key, batch by batch, and the old one can go."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.db import models
from django.test import Client
from pytest_django import Settings

from actioncenter import keyring, vault
from actioncenter.actions.execution import snapshots
from actioncenter.actions.models import ActionTarget, Artefact
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.ops.management import reencrypting, rotating
from actioncenter.ops.management.rotating import Key, NotNow
from actioncenter.settings.models import ConnectorInstance
from tests import factories
from tests.ops.rotations import BY, House, rotate

pytestmark = pytest.mark.django_db
FIELD = "field-encryption"


@pytest.fixture
def house(settings: Settings, tmp_path: Path) -> House:
    settings.SNAPSHOTS_DIR = tmp_path / "snapshots"
    return House(settings, tmp_path / "keys")


def stored() -> tuple[ConnectorInstance, ActionTarget, Artefact]:
    """A credential, what an undo needs, and a file."""
    action = factories.waiting_action()
    target = action.targets.get()
    ActionTarget.objects.filter(pk=target.pk).update(restore=vault.seal({"owner": "ENG"}))
    instance = ConnectorInstance.objects.create(kind="simulator", name="S", secret=vault.seal({"token": "t"}))
    artefact = Artefact.objects.create(action=action, name="a", media_type="x", size=1, sha256="")
    artefact.keep(b"brought back")
    return instance, target, artefact


def readable(*rows: models.Model) -> bool:
    instance, target, artefact = rows
    for row in rows:
        row.refresh_from_db()
    assert isinstance(instance, ConnectorInstance)
    assert isinstance(target, ActionTarget)
    assert isinstance(artefact, Artefact)
    said = (vault.unseal(instance.secret), vault.unseal(target.restore), artefact.content())
    return said == ({"token": "t"}, {"owner": "ENG"}, b"brought back")


def test_old_is_read_new_is_written_and_the_old_key_goes(house: House) -> None:
    rows = stored()
    before, _ = rotate(FIELD)
    assert readable(*rows)
    assert vault.is_current(vault.seal({}))
    with pytest.raises(NotNow, match="Only this key opens 1 credentials, 1 restore data, 1 artefacts"):
        rotating.retire(Key(FIELD), before, by=BY)

    done = reencrypting.reencrypt(by=BY)

    assert done == {
        "credentials": 1, "restore data": 1, "secrets of streams": 0, "artefacts": 1, "unreadable": 0,
    }  # fmt: skip
    assert sum(reencrypting.reencrypt(by=BY).values()) == 0, "nothing is done twice"
    assert Event.objects.filter(kind=Kind.KEY_REENCRYPTED)[0].detail == done
    rotating.retire(Key(FIELD), before, by=BY)
    keyring.refresh()
    assert not list(house.folder.glob("field.key.*"))
    assert readable(*rows)


def test_what_was_changed_meanwhile_is_left_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    instance, *_ = stored()
    rotate(FIELD)
    renewed = vault.renewed

    def slowly(token: bytes) -> bytes:
        ConnectorInstance.objects.filter(pk=instance.pk).update(secret=vault.seal({"token": "newer"}))
        return renewed(token)

    monkeypatch.setattr(vault, "renewed", slowly)
    assert reencrypting.reencrypt(by=BY)["credentials"] == 0
    instance.refresh_from_db()
    assert vault.unseal(instance.secret) == {"token": "newer"}


def test_it_goes_on_where_it_was_broken_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = stored()
    monkeypatch.setattr(reencrypting, "AT_ONCE", 2)
    for number in range(4):
        ConnectorInstance.objects.create(kind="simulator", name=f"{number}", secret=vault.seal({}))
    before, _ = rotate(FIELD)
    renewed, calls = vault.renewed, iter(range(3))

    def dying(token: bytes) -> bytes:
        if next(calls, None) is None:
            raise SystemExit(9)
        return renewed(token)

    with monkeypatch.context() as planted:
        planted.setattr(vault, "renewed", dying)
        with pytest.raises(SystemExit):
            reencrypting.reencrypt(by=BY)
    assert readable(*rows)
    assert reencrypting.reencrypt(by=BY)["credentials"] == 2
    rotating.retire(Key(FIELD), before, by=BY)


def test_what_no_key_opens_is_counted_and_holds_up_nothing(house: House) -> None:
    stored()
    lost = Fernet(Fernet.generate_key()).encrypt(b"{}")
    ConnectorInstance.objects.create(kind="simulator", name="lost", secret=lost)
    rotate(FIELD)
    assert reencrypting.reencrypt(by=BY)["unreadable"] == 1


def test_a_snapshot_keeps_its_key(house: House) -> None:
    """Its hash is in the log, so it can't be written anew."""
    snapshots._folder().mkdir()
    (snapshots._folder() / "stop-7.sealed").write_bytes(vault.seal_bytes(b"x") + b"\n")
    before, _ = rotate(FIELD)
    with pytest.raises(NotNow, match="Only this key opens 1 snapshots"):
        rotating.retire(Key(FIELD), before, by=BY)


def test_every_encrypted_column_is_known() -> None:
    columns = {
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.BinaryField)
    }
    assert columns == set(reencrypting.COLUMNS.values())


def test_people_stay_signed_in_until_the_old_secret_is_retired(house: House, client: Client) -> None:
    client.force_login(factories.person("mira"))
    away = Client()
    away.force_login(factories.person("noa"))
    before, _ = rotate("secret")
    assert client.get("/").status_code == 200
    rotating.retire(Key("secret"), before, by=BY)
    assert client.get("/").status_code == 200, "the session was renewed when they came"
    assert away.get("/").status_code == 302
