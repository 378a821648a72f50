"""What each format means in our words. The documents are invented; see fixtures/intake."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from investigations.enums import (
    AlertStatus,
    EvidenceType,
    Namespace,
    NotStarted,
    OsFamily,
    RemediationStatus,
    Severity,
    Verdict,
)
from investigations.intake import native, words
from investigations.intake.documents import AlertDoc, Document, EvidenceDoc
from investigations.intake.errors import Rejected
from investigations.intake.recognise import Item, read, to_document

FIXTURES = Path(__file__).parents[1] / "fixtures" / "intake"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "intake"
SAMPLES = sorted(path for path in SHARED.glob("*.json*")) if SHARED.is_dir() else []

T = EvidenceType


def documents(name: str) -> list[Document]:
    items = list(read(BytesIO((FIXTURES / name).read_bytes())))
    assert all(isinstance(item, Item) for item in items), items
    return [item.document for item in items if isinstance(item, Item)]


def alerts(name: str) -> dict[str, AlertDoc]:
    return {alert.external_id: alert for document in documents(name) for alert in document.alerts}


def only(alert: AlertDoc, kind: EvidenceType) -> EvidenceDoc:
    (found,) = (item for item in alert.evidence if item.type == kind)
    return found


def named(alert: AlertDoc, name: str) -> EvidenceDoc:
    (found,) = (item for item in alert.evidence if item.name == name)
    return found


@pytest.mark.samples
@pytest.mark.parametrize("path", SAMPLES or [None], ids=lambda path: path.name if path else "no samples here")
def test_real_samples_are_accepted_whole(path: Path | None) -> None:
    if path is None:
        pytest.skip("there are no samples beside the project")
    items = list(read(BytesIO(path.read_bytes())))
    assert items
    assert not [item for item in items if not isinstance(item, Item)]


class TestNative:
    def test_every_kind_of_evidence_can_be_said(self) -> None:
        kinds = {item.type for alert in alerts("native.json").values() for item in alert.evidence}
        assert kinds == set(EvidenceType)

    @pytest.mark.parametrize("kind", list(EvidenceType), ids=lambda kind: kind.name)
    def test_the_schema_describes_every_kind(self, kind: EvidenceType) -> None:
        schema = json.loads(native.SCHEMA.read_text("utf-8"))
        assert f"{kind.name.lower()}_facts" in schema["$defs"]

    @pytest.mark.parametrize("verdict", list(Verdict), ids=lambda verdict: verdict.name)
    def test_every_verdict_can_be_said(self, verdict: Verdict) -> None:
        assert words.verdict(verdict.name.replace("_", "").lower()) == verdict

    @pytest.mark.parametrize("status", list(RemediationStatus), ids=lambda status: status.name)
    def test_every_status_can_be_said(self, status: RemediationStatus) -> None:
        assert words.status(status.name.replace("_", "").lower()) == status

    def test_the_schema_is_one_and_its_examples_fit(self) -> None:
        schema = json.loads(native.SCHEMA.read_text("utf-8"))
        Draft202012Validator.check_schema(schema)
        assert len([to_document(example) for example in schema["examples"]]) == 2

    def test_an_alert_with_its_device(self) -> None:
        alert = alerts("native.json")["NW-100"]
        (device,) = alert.devices
        assert (alert.severity, alert.incident_id) == (Severity.HIGH, "NW-INC-7")
        assert alert.investigation_id == "NW-INV-3"
        assert alert.recommends_isolation
        assert device.ips == ("10.20.4.12",)
        assert device.critical is False
        assert [space for space, _ in device.identities] == [
            Namespace.ENTRA_ID,
            Namespace.AGENT_ID,
            Namespace.MAC,
            Namespace.DNS_NAME,
            Namespace.HOST_NAME,
        ]
        assert only(alert, T.REGISTRY).facts["hive"] == "HKEY_LOCAL_MACHINE"
        assert only(alert, T.FILE).facts["sha1"].islower()
        assert only(alert, T.PROCESS).name == "invoice.exe"

    def test_mail_knows_its_mailbox_and_a_cluster_its_members(self) -> None:
        alert = alerts("native.json")["NW-101"]
        assert alert.mailboxes[0].address == "ada@example.org"
        assert alert.mailboxes[0].identities[0][0] == Namespace.MAILBOX_GUID
        assert only(alert, T.FORWARDING).mailbox == 0
        assert len(only(alert, T.MAIL_CLUSTER).facts["members"]) == 2

    def test_an_alert_can_ask_not_to_be_investigated(self) -> None:
        assert alerts("native.json")["NW-102"].not_started == NotStarted.SUPPRESSED

    @pytest.mark.parametrize(
        ("change", "field", "reason"),
        [
            ({"title": "x" * 513}, "alerts[0].title", "513 characters"),
            ({"severity": "awful"}, "alerts[0].severity", "must be one of"),
            ({"created": "today"}, "alerts[0].created", "must match"),
            ({"created": "2026-13-45T00:00:00Z"}, "alerts[0].created", "not a date"),
            ({"colour": "red"}, "alerts[0]", "colour"),
            (
                {"devices": [{"ref": "a", "name": "localhost"}]},
                "alerts[0].devices[0].identities",
                "tells this device",
            ),
            ({"devices": [{"ref": "a", "name": "x"}] * 2}, "alerts[0].devices[1].ref", "used twice"),
            (
                {"mailboxes": [{"ref": "a", "address": "nobody"}]},
                "alerts[0].mailboxes[0].address",
                "one mail address",
            ),
            (
                {"evidence": [{"type": "file", "facts": {"sha1": "no"}}]},
                "alerts[0].evidence[0].facts.sha1",
                "must match",
            ),
            ({"evidence": [{"type": "url"}]}, "alerts[0].evidence[0]", "needs facts"),
            (
                {"evidence": [{"type": "ip", "facts": {"ip": "1.2.3.4"}, "device": "q"}]},
                "alerts[0].evidence[0].device",
                "names nothing",
            ),
        ],
    )
    def test_a_mistake_is_named_by_its_field(self, change: dict[str, Any], field: str, reason: str) -> None:
        alert = {"id": "1", "title": "T", "created": "2026-01-01T00:00:00Z", **change}
        with pytest.raises(Rejected) as refused:
            to_document({"format": "actioncenter/1", "source": {"name": "x"}, "alerts": [alert]})
        assert refused.value.field == field
        assert reason in refused.value.reason


class TestGraph:
    def test_evidence_finds_its_device_and_keeps_its_verdict(self) -> None:
        alert = alerts("graph.json")["ga-1"]
        file = named(alert, "drop.dll")
        assert (file.verdict, file.device) == (Verdict.MALICIOUS, 0)
        assert file.status == RemediationStatus.PREVENTED
        assert file.facts["path"].endswith("\\AppData\\Local\\Temp\\drop.dll")
        assert alert.devices[0].os_family == OsFamily.WINDOWS
        assert alert.devices[0].ips == ("10.9.0.9",)
        assert Namespace.ENTRA_ID not in dict(alert.devices[0].identities)

    def test_a_process_keeps_what_identifies_it(self) -> None:
        facts = only(alerts("graph.json")["ga-1"], T.PROCESS).facts
        assert facts["pid"] == 771
        assert facts["created"] == "2026-02-10T10:58:01+00:00"
        assert facts["parent_path"] == "C:\\Windows\\explorer.exe"
        assert facts["account"] == "SHOP\\kim"

    def test_the_state_of_their_automation_stays_a_fact(self) -> None:
        alert = alerts("graph.json")["ga-1"]
        assert (alert.source_state, alert.not_started) == ("unsupportedAlertType", None)

    def test_kinds_we_have_no_word_for_are_kept_whole(self) -> None:
        others = {
            item.facts["kind"]: item for item in alerts("graph.json")["ga-1"].evidence if item.type == T.OTHER
        }
        assert set(others) == {"nic", "dns", "hostLogonSession", "kubernetesPod", "brandNewKind"}
        assert others["kubernetesPod"].facts["labels"] == {"app": "shop"}

    def test_mail_of_every_kind(self) -> None:
        alert = alerts("graph.json")["ga-2"]
        message = only(alert, T.MAIL_MESSAGE)
        assert alert.mailboxes[message.mailbox or 0].address == "lena@example.org"
        assert message.facts["sender"] == "boss@example.com"
        assert message.threats == ("Phish",)
        assert only(alert, T.MAIL_CLUSTER).facts["message_ids"] == ["nmid-7", "nmid-8", "nmid-9"]
        assert only(alert, T.SUBMISSION).facts["report_type"] == "Phish"
        assert only(alert, T.FORWARDING).verdict == Verdict.MALICIOUS
        assert only(alert, T.OTHER).facts["kind"] == "userInboxRule"

    def test_an_incident_gives_its_id_to_its_alerts(self) -> None:
        assert {alert.incident_id for alert in alerts("graph-incident.json").values()} == {"503"}


class TestDefender:
    def test_flat_entities_become_evidence(self) -> None:
        alert = alerts("defender.json")["dx-1"]
        file, process = only(alert, T.FILE), only(alert, T.PROCESS)
        assert file.facts["path"] == process.facts["path"] == "D:\\tools\\tool.exe"
        assert (file.verdict, file.status) == (Verdict.MALICIOUS, RemediationStatus.ACTIVE)
        assert (alert.incident_id, alert.severity, alert.status) == (
            "7001",
            Severity.HIGH,
            AlertStatus.ACTIVE,
        )
        assert alert.service_source == "Microsoft Defender for Endpoint"
        assert only(alert, T.URL).verdict == Verdict.UNKNOWN
        assert only(alert, T.OTHER).facts["kind"] == "CloudLogonSession"

    @pytest.mark.parametrize(("id", "state"), [("dx-1", "PendingApproval"), ("dx-2", "UnsupportedAlertType")])
    def test_the_state_of_their_automation_stays_a_fact(self, id: str, state: str) -> None:
        alert = alerts("defender.json")[id]
        assert (alert.source_state, alert.not_started) == (state, None)

    def test_one_mailbox_under_two_kinds_of_entity_is_one(self) -> None:
        alert = alerts("defender.json")["dx-2"]
        assert [mailbox.address for mailbox in alert.mailboxes] == ["ops@example.org"]
        assert only(alert, T.MAIL_MESSAGE).mailbox == only(alert, T.MAILBOX).mailbox == 0
        assert len([item for item in alert.evidence if item.type == T.MAIL_CLUSTER]) == 2


class TestOcsf:
    def test_only_evidence_with_a_verdict_has_one(self) -> None:
        alert = alerts("ocsf.jsonl")["of-1"]
        assert named(alert, "miner").verdict == Verdict.MALICIOUS
        assert named(alert, "miner-cron").verdict == Verdict.SUSPICIOUS
        assert named(alert, "cron").verdict == Verdict.NO_THREATS_FOUND
        assert named(alert, "203.0.113.50").verdict == Verdict.UNKNOWN

    def test_the_user_beside_a_bad_process_is_not_bad(self) -> None:
        assert named(alerts("ocsf.jsonl")["of-1"], "www-data").verdict == Verdict.UNKNOWN
        assert named(alerts("ocsf.jsonl")["of-1"], "root").verdict == Verdict.MALICIOUS

    @pytest.mark.parametrize(
        ("id", "name", "verdict"), [("of-1", "lib.so", "SUSPICIOUS"), ("og-1", "t.exe", "MALICIOUS")]
    )
    def test_files_of_malware_are_as_bad_as_the_finding_is_sure(
        self, id: str, name: str, verdict: str
    ) -> None:
        found = [
            item for item in alerts("ocsf.jsonl")[id].evidence if item.type == T.FILE and item.name == name
        ]
        assert [item.verdict.name for item in found] == [verdict]

    def test_the_device_of_the_finding_owns_what_was_found_on_it(self) -> None:
        alert = alerts("ocsf.jsonl")["of-1"]
        first, second = alert.devices
        assert first.identities[0] == (Namespace.AGENT_ID, "tower/h-33")
        assert (first.os_family, second.name) == (OsFamily.LINUX, "build-4.example.org")
        assert {item.device for item in alert.evidence if item.type in {T.FILE, T.PROCESS, T.SERVICE}} == {0}

    def test_observables_add_only_what_is_new(self) -> None:
        evidence = alerts("ocsf.jsonl")["of-1"].evidence
        assert not [item for item in evidence if "build-3.example.org" in item.facts.values()]
        assert len([item for item in evidence if "192.0.2.99" in item.facts.values()]) == 1
        assert len([item for item in evidence if item.facts.get("sha256") and item.type == T.FILE]) == 2

    def test_an_old_finding_says_state_and_severity_in_its_own_way(self) -> None:
        alert = alerts("ocsf.jsonl")["og-1"]
        assert (alert.severity, alert.status) == (Severity.HIGH, AlertStatus.RESOLVED)

    def test_an_incident_holds_several_alerts_together(self) -> None:
        found = alerts("ocsf.jsonl")
        assert found["p-1"].incident_id == found["p-2"].incident_id == "inc-9"
        assert found["p-1"].status == AlertStatus.ACTIVE

    def test_every_product_is_a_source_of_its_own(self) -> None:
        assert {document.source for document in documents("ocsf.jsonl")} == {
            "example-sec-lookout-tower",
            "example-sec-old-guard",
        }

    def test_what_is_no_finding_is_refused(self) -> None:
        with pytest.raises(Rejected) as refused:
            to_document({"class_uid": 4001, "metadata": {}})
        assert refused.value.field == "class_uid"


class TestWazuh:
    def test_file_integrity_gives_a_file_with_hashes_and_no_verdict(self) -> None:
        file = only(alerts("wazuh.jsonl")["wz-1/177.1"], T.FILE)
        assert (file.verdict, file.roles) == (Verdict.UNKNOWN, ("created",))
        assert {"sha1", "sha256", "md5"} <= file.facts.keys()

    @pytest.mark.parametrize(("id", "verdict"), [("wz-1/177.2", "MALICIOUS"), ("wz-1/177.3", "SUSPICIOUS")])
    def test_few_engines_only_make_a_file_suspicious(self, id: str, verdict: str) -> None:
        assert only(alerts("wazuh.jsonl")[id], T.FILE).verdict.name == verdict

    def test_the_antivirus_of_windows_names_threat_and_files(self) -> None:
        evidence = alerts("wazuh.jsonl")["wz-1/177.4"].evidence
        assert [item.facts["path"] for item in evidence] == ["C:\\Temp\\a.exe", "C:\\Temp\\b.exe"]
        assert {item.status for item in evidence} == {RemediationStatus.REMEDIATED}
        assert evidence[0].threats == ("Trojan:Demo",)

    @pytest.mark.parametrize(
        ("number", "kind", "facts"),
        [
            (5, T.PROCESS, {"pid": 4321, "parent_pid": 11, "path": "C:\\Windows\\System32\\cmd.exe"}),
            (6, T.REGISTRY, {"hive": "HKEY_LOCAL_MACHINE", "key": "Software\\Demo\\Run", "value_name": "X"}),
            (7, T.REGISTRY, {"key": "Software\\Demo", "value_name": "Z"}),
            (8, T.SERVICE, {"name": "demo", "path": "C:\\demo.exe"}),
            (9, T.SCHEDULED_TASK, {"name": "\\Demo\\T"}),
            (10, T.DRIVER, {"name": "demo.sys"}),
            (11, T.USER, {"account": "root"}),
        ],
    )
    def test_events_of_windows_and_others(
        self, number: int, kind: EvidenceType, facts: dict[str, Any]
    ) -> None:
        found = only(alerts("wazuh.jsonl")[f"wz-1/177.{number}"], kind)
        assert facts.items() <= found.facts.items()

    def test_an_agent_is_known_by_its_manager_and_number(self) -> None:
        (device,) = alerts("wazuh.jsonl")["wz-1/177.1"].devices
        assert device.identities == ((Namespace.AGENT_ID, "wz-1/012"), (Namespace.HOST_NAME, "web-5"))

    @pytest.mark.parametrize(
        ("level", "severity"),
        [
            (0, "INFORMATIONAL"),
            (3, "INFORMATIONAL"),
            (4, "LOW"),
            (7, "MEDIUM"),
            (12, "HIGH"),
            (15, "CRITICAL"),
        ],
    )
    def test_levels_are_severities(self, level: int, severity: str) -> None:
        raw = {
            "id": "1",
            "timestamp": "2026-01-01T00:00:00Z",
            "agent": {},
            "rule": {"level": level, "description": "d"},
        }
        assert to_document(raw).alerts[0].severity.name == severity
