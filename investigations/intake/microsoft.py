"""What the two formats of the Microsoft security products have in common."""

from collections.abc import Mapping
from typing import Any

from investigations.enums import Namespace
from investigations.intake.building import Builder
from investigations.intake.entities import full_path, hashes, path_facts, some, text_path
from investigations.intake.identities import Claim, addresses, os_family
from investigations.intake.reading import Reader

SERVICES: Mapping[str, str] = {
    "microsoftdefenderforendpoint": "Microsoft Defender for Endpoint",
    "microsoftdefenderatp": "Microsoft Defender for Endpoint",
    "microsoftdefenderforoffice365": "Microsoft Defender for Office 365",
    "officeatp": "Microsoft Defender for Office 365",
    "microsoftdefenderforidentity": "Microsoft Defender for Identity",
    "azureatp": "Microsoft Defender for Identity",
    "microsoftdefenderforcloudapps": "Microsoft Defender for Cloud Apps",
    "microsoftcloudappsecurity": "Microsoft Defender for Cloud Apps",
    "mcas": "Microsoft Defender for Cloud Apps",
    "microsoft365defender": "Microsoft Defender XDR",
    "microsoftthreatprotection": "Microsoft Defender XDR",
    "azureadidentityprotection": "Microsoft Entra ID Protection",
    "aadidentityprotection": "Microsoft Entra ID Protection",
    "microsoftdefenderforcloud": "Microsoft Defender for Cloud",
    "microsoftappgovernance": "Microsoft app governance",
    "datalossprevention": "Microsoft Purview Data Loss Prevention",
    "microsoftsentinel": "Microsoft Sentinel",
}
"""Older and newer names of one service; an unknown one is shown as it came."""

_SILENT = frozenset({"unknown", "unknownfuturevalue", "notavailable"})


def service(reader: Reader, name: str) -> str:
    return SERVICES.get(reader.code(name), reader.text(name))


def stated(reader: Reader, *names: str) -> str:
    """A word of an enumeration, unless it only says that nothing is known."""
    return "" if reader.code(*names) in _SILENT else reader.text(*names)


def file_details(reader: Reader) -> dict[str, Any]:
    """`filePath` is the folder in most documents and the whole path in some."""
    name = reader.text("fileName")
    path = full_path(text_path(reader, "filePath"), name)
    return {
        **path_facts(path, name),
        **hashes(reader),
        **some(
            size=reader.number("fileSize"),
            publisher=reader.text("filePublisher"),
            signer=reader.text("signer"),
            issuer=reader.text("issuer"),
        ),
    }


def user_facts(reader: Reader) -> dict[str, Any]:
    return some(
        account=reader.text("accountName"),
        domain=reader.text("domainName"),
        sid=reader.text("userSid"),
        entra_id=reader.text("azureAdUserId", "aadUserId"),
        upn=reader.text("userPrincipalName"),
        display_name=reader.text("displayName"),
    )


def user_name(facts: Mapping[str, Any]) -> str:
    account = facts.get("account", "")
    domain = facts.get("domain", "")
    qualified = f"{domain}\\{account}" if domain and account else account
    return str(facts.get("upn") or qualified or facts.get("display_name") or facts.get("sid", ""))


def claims(reader: Reader) -> list[Claim]:
    dns_name = reader.text("deviceDnsName")
    return [
        (Namespace.DEFENDER_ID, reader.text("mdeDeviceId", "mdatpDeviceId", "deviceId", "DeviceId")),
        (Namespace.ENTRA_ID, reader.text("azureAdDeviceId", "aadDeviceId")),
        (Namespace.DNS_NAME, dns_name),
        (Namespace.HOST_NAME, reader.text("hostName") or dns_name),
    ]


def device(builder: Builder, reader: Reader) -> int | None:
    reader = reader.fresh()
    dns_name = reader.text("deviceDnsName")
    platform = reader.text("osPlatform")
    return builder.device(
        claims(reader),
        name=reader.text("hostName") or dns_name.split(".", 1)[0],
        dns_name=dns_name if "." in dns_name else "",
        domain=reader.text("dnsDomain") or dns_name.partition(".")[2],
        os_platform=platform,
        os_family=os_family(platform),
        os_version=" ".join(filter(None, (stated(reader, "version"), reader.text("osBuild")))),
        ips=addresses((*reader.texts("ipInterfaces"), reader.text("lastIpAddress"))),
        tags=reader.texts("tags"),
        health=stated(reader, "healthStatus"),
        onboarding=stated(reader, "onboardingStatus"),
        risk=stated(reader, "riskScore"),
        altered=reader.altered,
    )
