"""OCSF observables: values lifted out of a finding, often the only evidence that it has."""

from collections.abc import Callable, Mapping

from investigations.enums import EvidenceType
from investigations.intake import entities, ocsf_objects
from investigations.intake.building import Builder
from investigations.intake.identities import address, mail_address
from investigations.intake.ocsf_objects import Context, Made
from investigations.intake.reading import Reader
from investigations.intake.text import FREE_CAP, PATH_CAP, URL_CAP

_T = EvidenceType


def add_observables(builder: Builder, reader: Reader, context: Context) -> None:
    """Only what no other part of the finding has told already."""
    for item in reader.children("observables"):
        item = item.fresh()
        made = _made(item)
        if made.facts and not _known(builder, made):
            ocsf_objects.add(builder, item, made, context)


def _made(reader: Reader) -> Made:
    """An observable that stands for an object has no value; the object itself is read elsewhere."""
    if isinstance(reader.raw.get("value"), dict | list):
        return _other(reader, "")
    value = reader.text("value", cap=FREE_CAP)
    make = _MAKERS.get(reader.number("type_id") or 0)
    made = make(value) if make and value else None
    return made if made and made.facts else _other(reader, value)


def _known(builder: Builder, made: Made) -> bool:
    if made.kind == _T.OTHER:
        return builder.has_fact({_T.OTHER}, None, made.facts["value"])
    return builder.names_device(str(made.facts.get("url", ""))) or any(
        builder.has_fact(_TELLING.get(name, frozenset()), name, value) for name, value in made.facts.items()
    )


_FILES = frozenset({_T.FILE, _T.PROCESS})
_TELLING: Mapping[str, frozenset[EvidenceType]] = {
    "ip": frozenset({_T.IP}),
    "url": frozenset({_T.URL}),
    "account": frozenset({_T.USER}),
    **dict.fromkeys(("path", "file_name", *entities.HASHES), _FILES),
}


def _other(reader: Reader, value: str) -> Made:
    kind, field = reader.text("type") or "observable", reader.text("name")
    title = field if field and kind.lower() in {"other", "unknown", "observable"} else kind
    return Made(_T.OTHER, f"{title} {value}", {"kind": kind, "field": field, "value": value} if value else {})


def _ip(value: str) -> Made:
    ip = address(value)
    return Made(_T.IP, ip, entities.some(ip=ip))


def _url(value: str) -> Made:
    """A bare host name counts, as it does in lists of blocked sites."""
    url = value[:URL_CAP]
    return Made(_T.URL, url, {"url": url})


def _hash(value: str) -> Made:
    for name, digits in entities.HASHES.items():
        if len(value) == digits and (found := entities.hash_of(value, name)):
            return Made(_T.FILE, found, {name: found})
    return Made(_T.FILE, "", {})


def _user(value: str) -> Made:
    return Made(_T.USER, value, {"account": value})


def _mail(value: str) -> Made:
    mail = mail_address(value)
    return Made(_T.USER, mail, entities.some(address=mail))


def _path(value: str) -> Made:
    facts = entities.path_facts(value[:PATH_CAP])
    return Made(_T.FILE, facts.get("file_name", ""), facts)


def _file_name(value: str) -> Made:
    return Made(_T.FILE, value, {"file_name": value})


def _process_name(value: str) -> Made:
    return Made(_T.PROCESS, value, {"file_name": value})


def _registry(value: str) -> Made:
    facts = entities.registry_facts(value[:PATH_CAP])
    return Made(_T.REGISTRY, entities.registry_name(facts), facts)


_MAKERS: Mapping[int, Callable[[str], Made]] = {
    1: _url,
    2: _ip,
    4: _user,
    5: _mail,
    6: _url,
    7: _file_name,
    8: _hash,
    9: _process_name,
    21: _user,
    23: _url,
    24: _path,
    25: _process_name,
    28: _registry,
    30: _hash,
    45: _path,
    46: _registry,
}
"""By `type_id`; the numbers have kept their meaning since 1.0. What isn't here stays as it came."""
