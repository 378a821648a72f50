from pathlib import Path

import pytest

from actioncenter import environment


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("Yes", True), ("0", False), ("off", False), ("", False)]
)
def test_flag_reads_what_people_write(value: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", value)

    assert environment.flag("ACTIONCENTER_X", default=not expected) is expected


def test_flag_refuses_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", "maybe")

    with pytest.raises(environment.BadSetting, match="ACTIONCENTER_X must be 1 or 0"):
        environment.flag("ACTIONCENTER_X")


def test_secret_comes_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    monkeypatch.setenv("ACTIONCENTER_X_FILE", str(tmp_path / "secret"))

    assert environment.text("ACTIONCENTER_X") == "s3cret"


def test_secret_in_two_places_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", "a")
    monkeypatch.setenv("ACTIONCENTER_X_FILE", str(tmp_path / "secret"))

    with pytest.raises(environment.BadSetting, match="not both"):
        environment.text("ACTIONCENTER_X")


def test_missing_secret_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X_FILE", str(tmp_path / "absent"))

    with pytest.raises(environment.BadSetting, match="absent"):
        environment.text("ACTIONCENTER_X")


def test_sqlite_is_set_up_to_survive_many_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", "sqlite:////var/lib/ac/db.sqlite3")

    database = environment.database("ACTIONCENTER_X", "")

    assert database["NAME"] == "/var/lib/ac/db.sqlite3"
    assert database["CONN_MAX_AGE"] is None
    assert database["OPTIONS"] == {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }


def test_postgres_address_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "ACTIONCENTER_X", "postgres://ann%40corp:p%2Fw@db.example.org:6432/actions?sslmode=require"
    )

    database = environment.database("ACTIONCENTER_X", "")

    assert (database["USER"], database["PASSWORD"]) == ("ann@corp", "p/w")
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example.org", "6432", "actions")
    assert database["OPTIONS"] == {"sslmode": "require"}


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "sqlite://", "postgres://host/", "postgres://host:port/name", "nonsense"]
)
def test_other_addresses_are_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", url)

    with pytest.raises(environment.BadSetting, match="ACTIONCENTER_X"):
        environment.database("ACTIONCENTER_X", "")


def test_choice_names_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", "LOUD")

    with pytest.raises(environment.BadSetting, match="INFO, WARNING"):
        environment.choice("ACTIONCENTER_X", "INFO", frozenset({"INFO", "WARNING"}))
