"""Storing what sources report: idempotent, joined where the source or the device says so, never merged silently."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from actioncenter.actions.enums import Area
from actioncenter.audit.actor import Actor
from actioncenter.audit.enums import Kind
from actioncenter.audit.models import Event
from actioncenter.settings.enums import AutomationLevel
from actioncenter.settings.models import DeviceGroup, GroupRule, SourceVerdicts
from investigations import lifecycle
from investigations.enums import (
    EvidenceType,
    InvestigationState,
    Namespace,
    NotStarted,
    RemediationStatus,
    Severity,
    Verdict,
)
from investigations.ingest import Recorded, record_alerts
from investigations.intake.documents import AlertDoc, DeviceDoc, Document, EvidenceDoc, MailboxDoc
from investigations.intake.identities import identities
from investigations.intake.recognise import Item, read
from investigations.models import (
    Alert,
    Device,
    DeviceIdentity,
    EmailCluster,
    Evidence,
    EvidenceAlert,
    Investigation,
    Mailbox,
    MergeProposal,
)

pytestmark = pytest.mark.django_db
FIXTURES = Path(__file__).parents[1] / "fixtures" / "intake"
BY = Actor.command("ingest")
N = Namespace
ROWS = (
    Alert,
    Device,
    DeviceIdentity,
    EmailCluster,
    Evidence,
    EvidenceAlert,
    Investigation,
    Mailbox,
    MergeProposal,
    Event,
)


def host(name: str = "web", **identity: str) -> DeviceDoc:
    claims = [(N[space.upper()], value) for space, value in identity.items()] or [
        (N.DEFENDER_ID, f"id-{name}")
    ]
    return DeviceDoc(name=name, identities=identities(claims))


def file(path: str = "C:\\Temp\\a.exe", verdict: Verdict = Verdict.MALICIOUS, **more: Any) -> EvidenceDoc:
    more.setdefault("device", 0)
    return EvidenceDoc(type=EvidenceType.FILE, name="a.exe", facts={"path": path}, verdict=verdict, **more)


def alert(id: str = "1", *evidence: EvidenceDoc, **more: Any) -> AlertDoc:
    more.setdefault("devices", (host(),))
    return AlertDoc(
        external_id=id,
        title=f"Alert {id}",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        evidence=evidence,
        **more,
    )


def record(*alerts: AlertDoc, source: str = "tests") -> Recorded:
    with transaction.atomic():
        return record_alerts(Document(source=source, alerts=alerts), by=BY)


def counts() -> dict[str, int]:
    return {model.__name__: model._default_manager.count() for model in ROWS}


def group(name: str, level: AutomationLevel) -> DeviceGroup:
    made = DeviceGroup.objects.create(name=name, rank=DeviceGroup.objects.count(), level=level)
    GroupRule.objects.create(group=made, property="name", operator="starts_with", value=name)
    return made


@pytest.mark.parametrize("path", sorted(FIXTURES.iterdir()), ids=lambda path: path.name)
def test_replaying_a_file_changes_nothing(path: Path) -> None:
    documents = [item.document for item in read(BytesIO(path.read_bytes())) if isinstance(item, Item)]
    first = [record(*document.alerts, source=document.source).result for document in documents]
    before = counts()
    second = [record(*document.alerts, source=document.source).result for document in documents]
    assert set(first) == {"created"}
    assert set(second) == {"unchanged"}
    assert counts() == before
    assert before["Evidence"] + before["Alert"] > 0


class TestInvestigations:
    def test_alerts_of_one_incident_share_one(self) -> None:
        one = record(alert("1", file(), incident_id="I"))
        two = record(alert("2", file(), incident_id="I", devices=(host("other"),)))
        assert one.investigations == two.investigations
        assert Investigation.objects.get().devices.count() == 2

    def test_incidents_of_two_sources_are_two(self) -> None:
        record(alert("1", incident_id="I"), source="a")
        record(alert("1", incident_id="I", devices=(host("other"),)), source="b")
        assert Investigation.objects.count() == 2

    def test_an_alert_without_incident_joins_what_runs_on_its_device(self) -> None:
        assert (
            record(alert("1", file())).investigations
            == record(alert("2", file(), recommends_isolation=True)).investigations
        )
        assert Evidence.objects.get().recommends_isolation

    def test_an_ended_one_is_not_joined_by_device(self) -> None:
        record(alert("1", file()))
        lifecycle.stop(Investigation.objects.get(), by=BY)
        record(alert("2", file()))
        assert Investigation.objects.count() == 2

    def test_what_a_person_stopped_is_not_opened_again_by_its_incident(self) -> None:
        record(alert("1", file(), incident_id="I"))
        lifecycle.stop(Investigation.objects.get(), by=BY)
        record(alert("2", file(), incident_id="I"))
        record(alert("3", file(), incident_id="I"))
        states = list(Investigation.objects.order_by("pk").values_list("state", flat=True))
        assert states == [InvestigationState.TERMINATED_BY_USER, InvestigationState.RUNNING]

    def test_the_worst_severity_counts(self) -> None:
        record(alert("1", severity=Severity.HIGH))
        record(alert("2", severity=Severity.LOW))
        assert Investigation.objects.get().severity == Severity.HIGH

    def test_a_device_at_level_none_is_not_investigated(self) -> None:
        group("quiet", AutomationLevel.NONE)
        record(alert("1", file(), devices=(host("quiet-1"),)))
        assert Alert.objects.get().not_started == NotStarted.LEVEL_NONE
        assert not Investigation.objects.exists()
        assert not Evidence.objects.exists()

    def test_level_none_does_not_stop_mail(self) -> None:
        group("quiet", AutomationLevel.NONE)
        url = EvidenceDoc(
            type=EvidenceType.URL, name="u", facts={"url": "http://x.example"}, verdict=Verdict.MALICIOUS
        )
        record(alert("1", url, devices=(host("quiet-1"),)))
        assert Evidence.objects.get().area == Area.EMAIL

    def test_one_device_above_none_is_enough(self) -> None:
        group("quiet", AutomationLevel.NONE)
        record(alert("1", file(device=1), devices=(host("quiet-1"), host("loud-1"))))
        assert Investigation.objects.exists()

    def test_a_source_may_ask_for_none(self) -> None:
        record(alert("1", file(), not_started=NotStarted.SUPPRESSED))
        assert Alert.objects.get().not_started == NotStarted.SUPPRESSED
        assert not Investigation.objects.exists()

    def test_the_state_of_another_automation_changes_nothing_here(self) -> None:
        record(alert("1", file(), source_state="UnsupportedOs"))
        assert Alert.objects.get().facts["source_state"] == "UnsupportedOs"
        assert Evidence.objects.get().verdict == Verdict.MALICIOUS


class TestEvidence:
    def test_two_alerts_about_one_file_make_one_piece(self) -> None:
        record(alert("1", file()))
        assert record(alert("2", file(threats=("T",)))).evidence
        assert Evidence.objects.get().threats == ["T"]
        assert EvidenceAlert.objects.count() == 2

    @pytest.mark.parametrize("old", list(Verdict), ids=lambda verdict: verdict.name)
    @pytest.mark.parametrize("new", list(Verdict), ids=lambda verdict: verdict.name)
    def test_a_second_alert_only_makes_a_verdict_worse(self, old: Verdict, new: Verdict) -> None:
        record(alert("1", file(verdict=old)))
        record(alert("2", file(verdict=new)))
        assert Evidence.objects.get().verdict == max(old, new)

    @pytest.mark.parametrize("new", list(Verdict), ids=lambda verdict: verdict.name)
    def test_a_source_may_take_its_own_verdict_back(self, new: Verdict) -> None:
        record(alert("1", file(verdict=Verdict.SUSPICIOUS)))
        record(alert("1", file(verdict=new), category="revised"))
        expected = Verdict.SUSPICIOUS if new == Verdict.UNKNOWN else new
        assert Evidence.objects.get().verdict == expected

    def test_a_changed_verdict_is_told_once(self) -> None:
        record(alert("1", file(verdict=Verdict.SUSPICIOUS)))
        record(alert("2", file(verdict=Verdict.MALICIOUS)))
        event = Event.objects.get(kind=Kind.VERDICT_SET)
        assert (event.before, event.after) == ({"verdict": "SUSPICIOUS"}, {"verdict": "MALICIOUS"})

    def test_a_status_of_ours_is_not_overwritten(self) -> None:
        record(alert("1", file()))
        Evidence.objects.update(remediation=RemediationStatus.REMEDIATED)
        record(alert("2", file(status=RemediationStatus.ACTIVE)))
        assert Evidence.objects.get().remediation == RemediationStatus.REMEDIATED

    def test_the_first_count_of_a_cluster_stays(self) -> None:
        def cluster(count: int) -> EvidenceDoc:
            facts = {"query": "q", "email_count": count, "message_ids": ["m"]}
            return EvidenceDoc(type=EvidenceType.MAIL_CLUSTER, name="c", facts=facts)

        record(alert("1", cluster(10), devices=(), incident_id="I"))
        record(alert("2", cluster(15), devices=(), incident_id="I"))
        row = EmailCluster.objects.get()
        assert (row.frozen_count, row.live_count, row.members) == (10, 15, [{"message_id": "m"}])

    def test_a_verdict_map_speaks_for_a_source_that_has_none(self) -> None:
        SourceVerdicts.objects.create(
            source="tests", verdicts={"severity:high": int(Verdict.SUSPICIOUS), "default": 1}
        )
        user = EvidenceDoc(type=EvidenceType.USER, name="u", facts={"account": "u"})
        record(alert("1", file(verdict=Verdict.UNKNOWN), user, severity=Severity.HIGH))
        assert dict(Evidence.objects.values_list("type", "verdict")) == {
            EvidenceType.FILE: Verdict.SUSPICIOUS,
            EvidenceType.USER: Verdict.UNKNOWN,
        }

    def test_altered_text_is_told(self) -> None:
        record(alert("1", file(altered=True)))
        assert Alert.objects.get().altered
        assert Event.objects.filter(kind=Kind.INGEST_CLEANED).count() == 1

    def test_long_text_is_cut_to_its_column(self) -> None:
        record(
            alert(
                "1",
                file(origin="o" * 600, status_details="d" * 600),
                category="c" * 512,
                service_source="s" * 512,
            )
        )
        assert len(Evidence.objects.get().detection_origin) == 120
        assert len(Alert.objects.get().category) == 120


class TestDevices:
    def test_a_strong_identity_finds_the_device_under_a_new_name(self) -> None:
        record(alert("1", file(), devices=(host("web", defender_id="x", dns_name="web.a.example"),)))
        record(alert("2", file(), devices=(host("renamed", defender_id="x", dns_name="new.a.example"),)))
        assert Device.objects.get().identities.count() == 3
        assert not MergeProposal.objects.exists()

    @pytest.mark.parametrize(
        ("first", "second", "devices", "proposals"),
        [
            ({"defender_id": "x"}, {"defender_id": "y"}, 2, 0),
            ({"dns_name": "w.a.example"}, {"agent_id": "m/1", "dns_name": "w.a.example"}, 1, 0),
            (
                {"defender_id": "x", "dns_name": "w.a.example"},
                {"agent_id": "m/1", "dns_name": "w.a.example"},
                1,
                0,
            ),
            (
                {"defender_id": "x", "dns_name": "w.a.example"},
                {"defender_id": "y", "dns_name": "w.a.example"},
                2,
                1,
            ),
            ({"agent_id": "m/1", "host_name": "w"}, {"agent_id": "n/1", "host_name": "w"}, 2, 1),
            (
                {"dns_name": "w.a.example", "host_name": "w"},
                {"dns_name": "w.b.example", "host_name": "w"},
                2,
                0,
            ),
            ({"defender_id": "x", "host_name": "w"}, {"host_name": "w"}, 1, 0),
            ({"host_name": "w"}, {"defender_id": "x", "host_name": "w"}, 2, 1),
            ({"ip_address": "10.0.0.1"}, {"ip_address": "10.0.0.1"}, 1, 0),
            ({"mac": "00:00:00:00:00:01", "serial": "s"}, {"mac": "00:00:00:00:00:02", "serial": "s"}, 1, 0),
        ],
    )
    def test_who_is_who(
        self, first: dict[str, str], second: dict[str, str], devices: int, proposals: int
    ) -> None:
        record(alert("1", file(), devices=(host("w", **first),)))
        record(alert("2", file(), devices=(host("w", **second),)))
        assert (Device.objects.count(), MergeProposal.objects.count()) == (devices, proposals)

    def test_two_devices_under_one_report_are_proposed_for_a_merge_once(self) -> None:
        record(alert("1", devices=(host("a", defender_id="x"), host("b", dns_name="b.example.org"))))
        for number in ("2", "3"):
            record(alert(number, devices=(host("a", defender_id="x", dns_name="b.example.org"),)))
        assert Device.objects.count() == 2
        assert MergeProposal.objects.count() == 1

    @pytest.mark.parametrize(
        ("identity", "confidence"),
        [
            ({"host_name": "w"}, 60),
            ({"ip_address": "10.0.0.1"}, 40),
            ({"dns_name": "w.example.org"}, 80),
            ({"defender_id": "x"}, 100),
        ],
    )
    def test_how_sure_we_are_follows_the_identity(self, identity: dict[str, str], confidence: int) -> None:
        record(alert("1", file(), devices=(host("w", **identity),)))
        assert Evidence.objects.get().identity_confidence == confidence

    def test_a_device_is_put_in_its_group_and_follows_its_tags(self) -> None:
        made = group("web", AutomationLevel.FULL)
        tagged = DeviceGroup.objects.create(name="vip", rank=0, level=AutomationLevel.SEMI_ALL)
        GroupRule.objects.create(group=tagged, property="tag", operator="equals", value="vip")
        record(alert("1", file()))
        assert Device.objects.get().group == made
        assert Evidence.objects.get().group == made
        record(alert("2", file(), devices=(replace(host(), tags=("vip",)),)))
        assert Device.objects.get().group == tagged

    def test_what_a_source_is_silent_about_stays(self) -> None:
        record(alert("1", devices=(replace(host(), os_platform="Windows11", critical=True),)))
        record(alert("2", devices=(replace(host(), critical=False),)))
        device = Device.objects.get()
        assert (device.os_platform, device.critical) == ("Windows11", True)

    def test_a_mailbox_is_known_by_guid_address_and_user(self) -> None:
        def box(address: str, *claims: tuple[Namespace, str]) -> AlertDoc:
            known = identities([(N.MAIL_ADDRESS, address), *claims])
            return alert(address, devices=(), mailboxes=(MailboxDoc(address=address, identities=known),))

        record(box("a@x.example", (N.MAILBOX_GUID, "g-1")))
        record(box("alias@x.example", (N.MAILBOX_GUID, "g-1")))
        record(box("a@x.example", (N.MAILBOX_GUID, "g-2")))
        assert Mailbox.objects.count() == 2
        assert MergeProposal.objects.get().kind == "mailbox"


@pytest.mark.parametrize(
    "change", [lambda doc: doc, lambda doc: replace(doc, category="new")], ids=["same", "changed"]
)
def test_alerts_say_what_became_of_them(change: Callable[[AlertDoc], AlertDoc]) -> None:
    doc = alert("1", file())
    assert record(doc).result == "created"
    assert record(change(doc)).result == ("unchanged" if change(doc) == doc else "updated")


def test_everything_happens_in_the_callers_transaction() -> None:
    before = counts()
    with transaction.atomic():
        record_alerts(Document(source="tests", alerts=(alert("1", file()),)), by=BY)
        transaction.set_rollback(True)
    assert counts() == before
