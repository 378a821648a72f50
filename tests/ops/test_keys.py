import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actioncenter import keys


@pytest.mark.parametrize("name", keys.MAKERS)
def test_key_is_made_once_and_is_for_the_owner_alone(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "keys"

    made = keys.load(folder, name)

    assert keys.load(folder, name) == made
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == [name]


def test_two_installations_share_no_key(tmp_path: Path) -> None:
    assert all(keys.load(tmp_path / "a", name) != keys.load(tmp_path / "b", name) for name in keys.MAKERS)


def test_keys_fit_their_purpose(tmp_path: Path) -> None:
    Fernet(keys.load(tmp_path, "field.key"))
    Ed25519PrivateKey.from_private_bytes(keys.load(tmp_path, "signing.key"))
    assert len(keys.load(tmp_path, "audit.key")) == 32
    assert len(keys.load(tmp_path, "secret.key").decode()) >= 64


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: keys.load(tmp_path, "audit.key"), range(32)))

    assert len(made) == 1


def test_emptied_key_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "audit.key").write_bytes(b"")

    with pytest.raises(OSError, match="Restore it"):
        keys.load(tmp_path, "audit.key")
