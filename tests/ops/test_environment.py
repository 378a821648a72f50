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


SQLITE, POSTGRES = "sqlite:////tmp/x.sqlite3", "postgres://runs@db/actions"


@pytest.mark.parametrize(
    ("runtime", "owner"),
    [(SQLITE, POSTGRES), (SQLITE, SQLITE), (POSTGRES, SQLITE), (POSTGRES, "postgres://db/")],
)
def test_an_owner_is_for_postgresql(runtime: str, owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", owner)
    described = environment.database("NO_SUCH_VARIABLE", runtime)

    with pytest.raises(environment.BadSetting, match="ACTIONCENTER_X"):
        environment.owner("ACTIONCENTER_X", described)


def test_an_owner_is_described_as_the_database_is(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = environment.database("NO_SUCH_VARIABLE", POSTGRES)
    assert environment.owner("ACTIONCENTER_X", runtime) is None

    monkeypatch.setenv("ACTIONCENTER_X", "postgres://owns:secret@db/actions")

    found = environment.owner("ACTIONCENTER_X", runtime)
    assert found == {**runtime, "USER": "owns", "PASSWORD": "secret"}


def test_choice_names_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", "LOUD")

    with pytest.raises(environment.BadSetting, match="INFO, WARNING"):
        environment.choice("ACTIONCENTER_X", "INFO", frozenset({"INFO", "WARNING"}))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", ("mail.example", 25, "", "", False, False)),
        ("smtp://mail.example:2525", ("mail.example", 2525, "", "", False, False)),
        ("smtp://ac:p%40ss%2F@mail.example?starttls=1", ("mail.example", 587, "ac", "p@ss/", True, False)),
        ("smtps://ac:secret@mail.example", ("mail.example", 465, "ac", "secret", False, True)),
        ("smtp://ac:secret@127.0.0.1:1025", ("127.0.0.1", 1025, "ac", "secret", False, False)),
    ],
)
def test_mail_server_is_taken_apart(
    url: str, expected: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", url)

    found = environment.smtp("ACTIONCENTER_X")

    names = ("host", "port", "user", "password", "starttls", "tls")
    assert tuple(found[name] for name in names) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example", "smtp://", "mail.example", "smtp://mail.example:port", "smtp://mail.example?tls=1",
        "smtp://mail.example?starttls=maybe", "smtps://mail.example?starttls=1", "smtp://ac:s3cret@mail.example",
        "smtp://ac:s3cret@[mail.example",
    ],
)  # fmt: skip
def test_mail_server_that_makes_no_sense_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", url)

    with pytest.raises(environment.BadSetting, match="ACTIONCENTER_X") as refused:
        environment.smtp("ACTIONCENTER_X")

    assert "s3cret" not in str(refused.value)


def test_no_mail_server_is_no_mail_server() -> None:
    assert environment.smtp("ACTIONCENTER_X") == {}
    assert environment.address("ACTIONCENTER_X", needed=False) == ""
    assert environment.site("ACTIONCENTER_X") == ""


@pytest.mark.parametrize(
    "value", ["", "center", "@example.com", "a@b.example, c@d.example", "a@b.example\nBcc: x@y.example"]
)
def test_sender_is_one_address(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", value)

    with pytest.raises(environment.BadSetting, match="ACTIONCENTER_X"):
        environment.address("ACTIONCENTER_X", needed=True)


@pytest.mark.parametrize("value", ["ac@example.com", "Action center <ac@example.com>"])
def test_sender_may_have_a_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", value)

    assert environment.address("ACTIONCENTER_X", needed=True) == value


@pytest.mark.parametrize("value", ["https://ac.example", "https://ac.example/", "https://ac.example//"])
def test_site_has_no_slash_at_its_end(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", value)

    assert environment.site("ACTIONCENTER_X") == "https://ac.example"


@pytest.mark.parametrize(
    "value",
    ["ac.example", "javascript:alert(1)", "https://", "https://ac.example/?a=1", "https://ac.example/#a"],
)
def test_site_that_makes_no_sense_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONCENTER_X", value)

    with pytest.raises(environment.BadSetting, match="ACTIONCENTER_X"):
        environment.site("ACTIONCENTER_X")
