"""What tells devices and mailboxes apart, and what makes two findings one."""

import pytest

from investigations.enums import EvidenceType, Namespace, OsFamily
from investigations.intake.building import Builder
from investigations.intake.entities import evidence_key, file_name, full_path, registry_facts
from investigations.intake.identities import addresses, identities, mail_address, os_family


@pytest.mark.parametrize(
    ("namespace", "value", "canonical"),
    [
        (Namespace.MAC, "00-1A-2b-3C-4d-5E", "00:1a:2b:3c:4d:5e"),
        (Namespace.MAC, "001a.2b3c.4d5e", "00:1a:2b:3c:4d:5e"),
        (Namespace.MAC, "ff:ff:ff:ff:ff:ff", None),
        (Namespace.ENTRA_ID, "00000000-0000-0000-0000-000000000000", None),
        (Namespace.ENTRA_ID, "{ABCD}", "abcd"),
        (Namespace.DNS_NAME, "Host.Example.ORG.", "host.example.org"),
        (Namespace.DNS_NAME, "host", None),
        (Namespace.HOST_NAME, "Host.Example.ORG", "host"),
        (Namespace.HOST_NAME, "localhost", None),
        (Namespace.HOST_NAME, "10.0.0.1", None),
        (Namespace.HOST_NAME, "<script>", None),
        (Namespace.IP_ADDRESS, "127.0.0.1", None),
        (Namespace.IP_ADDRESS, "FE80::1%eth0", None),
        (Namespace.IP_ADDRESS, "2001:DB8::1", "2001:db8::1"),
        (Namespace.UPN, "A@B.example", "a@b.example"),
    ],
)
def test_identities_have_one_spelling_or_none(
    namespace: Namespace, value: str, canonical: str | None
) -> None:
    expected = ((namespace, canonical),) if canonical else ()
    assert identities([(namespace, value)]) == expected


def test_an_address_counts_only_where_nothing_else_is_known() -> None:
    address = (Namespace.IP_ADDRESS, "10.0.0.1")
    assert identities([address, (Namespace.HOST_NAME, "web")]) == ((Namespace.HOST_NAME, "web"),)
    assert identities([address]) == (address,)


def test_addresses_that_nobody_else_can_reach_are_left_out() -> None:
    assert addresses(["127.0.0.1", "10.1.2.3/24", "10.1.2.3", "x", "::1"]) == ("10.1.2.3",)


@pytest.mark.parametrize(
    ("text", "mail"),
    [("A.B@C.example", "a.b@c.example"), ("<a@b.example>", "a@b.example"), ("a@b", "a@b")]
    + [
        (text, "")
        for text in ("a@", "@b.example", "a b@c.example", "a@b@c.example", "x\n@b.example", "a@b,c@d")
    ],
)
def test_mail_addresses_are_single_and_plain(text: str, mail: str) -> None:
    assert mail_address(text) == mail


@pytest.mark.parametrize(
    ("words", "family"),
    [
        ("Windows11", "WINDOWS"),
        ("WindowsServer2016", "WINDOWS"),
        ("macOS", "MACOS"),
        ("Darwin", "MACOS"),
        ("Ubuntu 22", "LINUX"),
        ("VxWorks", "UNKNOWN"),
    ],
)
def test_platforms_belong_to_families(words: str, family: str) -> None:
    assert os_family(words) == OsFamily[family]


@pytest.mark.parametrize(
    ("folder", "name", "path"),
    [
        ("C:\\Temp", "a.exe", "C:\\Temp\\a.exe"),
        ("C:\\Temp\\", "a.exe", "C:\\Temp\\a.exe"),
        ("C:\\Temp\\A.exe", "a.exe", "C:\\Temp\\A.exe"),
        ("C:", "a.exe", "C:\\a.exe"),
        ("/usr/bin", "a", "/usr/bin/a"),
        ("/", "a", "/a"),
        ("", "a.exe", ""),
        ("", "C:\\a.exe", "C:\\a.exe"),
        ("/opt/odd\\folder", "a", "/opt/odd\\folder/a"),
    ],
)
def test_folder_and_name_make_one_path(folder: str, name: str, path: str) -> None:
    assert full_path(folder, name) == path


@pytest.mark.parametrize(
    ("path", "name"),
    [("C:\\a\\b.exe", "b.exe"), ("/a/b\\c", "b\\c"), ("C:/a/b", "b"), ("\\\\srv\\s\\b", "b"), ("b", "b")],
)
def test_names_end_a_path(path: str, name: str) -> None:
    assert file_name(path) == name


def test_a_hive_inside_the_key_is_taken_out() -> None:
    expected = {"hive": "HKEY_LOCAL_MACHINE", "key": "A\\B"}
    assert registry_facts("HKLM\\A\\B") == registry_facts("A\\B", "hkey_local_machine") == expected


FILE = {"path": "C:\\Temp\\a.exe", "sha1": "a" * 40}


@pytest.mark.parametrize(
    ("kind", "one", "other", "same"),
    [
        (EvidenceType.FILE, FILE, {**FILE, "path": "c:\\TEMP\\A.EXE", "size": 3, "file_name": "A.EXE"}, True),
        (EvidenceType.FILE, FILE, {**FILE, "sha256": "b" * 64}, True),
        (EvidenceType.FILE, FILE, {**FILE, "sha1": "c" * 40}, False),
        (EvidenceType.FILE, {"path": "/a/B"}, {"path": "/a/b"}, False),
        (EvidenceType.PROCESS, {"pid": 1, "path": "/a"}, {"pid": 2, "path": "/a"}, False),
        (EvidenceType.USER, {"sid": "S-1", "account": "a"}, {"sid": "s-1", "account": "b"}, True),
        (
            EvidenceType.MAIL_MESSAGE,
            {"message_id": "1", "recipient": "a"},
            {"message_id": "1", "recipient": "b"},
            False,
        ),
        (EvidenceType.MAIL_CLUSTER, {"cluster_by": "Subject"}, {"cluster_by": "SenderIp"}, False),
        (EvidenceType.MAIL_CLUSTER, {"query": "q", "email_count": 3}, {"query": "q", "email_count": 9}, True),
        (EvidenceType.OTHER, {"kind": "a", "x": 1}, {"kind": "a", "x": 2}, False),
        (EvidenceType.DEVICE, {"logged_on": ["a"]}, {}, True),
    ],
)
def test_the_key_holds_what_makes_it_this_thing(
    kind: EvidenceType, one: dict[str, object], other: dict[str, object], same: bool
) -> None:
    assert (evidence_key(kind, one, "d1") == evidence_key(kind, other, "d1")) is same


def test_the_same_thing_elsewhere_is_another() -> None:
    assert evidence_key(EvidenceType.FILE, FILE, "d1") != evidence_key(EvidenceType.FILE, FILE, "d2")


def test_one_alert_lists_a_device_once() -> None:
    builder = Builder()
    first = builder.device([(Namespace.DEFENDER_ID, "x"), (Namespace.HOST_NAME, "web")], name="web")
    again = builder.device([(Namespace.DEFENDER_ID, "X")], os_platform="Windows11")
    other = builder.device([(Namespace.DEFENDER_ID, "y"), (Namespace.HOST_NAME, "web")])
    assert (first, again, other) == (0, 0, 1)
    assert builder.devices[0].os_platform == "Windows11"
    assert builder.device([(Namespace.HOST_NAME, "localhost")]) is None
