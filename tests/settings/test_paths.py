"""How folder lists see a path, above all one that wants to deceive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actioncenter.settings import defaults, matching, paths
from actioncenter.settings.enums import AutomationLevel, FolderClass, FolderList
from actioncenter.settings.matching import FolderRule
from investigations.enums import OsFamily

CORE, NONTEMP = AutomationLevel.SEMI_CORE, AutomationLevel.SEMI_NONTEMP
WINDOWS, LINUX, MACOS, UNKNOWN = OsFamily.WINDOWS, OsFamily.LINUX, OsFamily.MACOS, OsFamily.UNKNOWN


def classify(
    path: str | None, level: AutomationLevel, os_family: OsFamily = WINDOWS, *, file_like: bool = True
) -> str:
    found = matching.classify(path, level, defaults.FOLDER_RULES, file_like=file_like, os_family=os_family)
    return found.name.lower()


@pytest.mark.parametrize(
    ("path", "core", "nontemp"),
    [
        (r"C:\Windows\Temp\a.exe", "core", "temp"),
        (r"C:\Program Files\App\a.exe", "core", "temp"),
        (r"C:\Program Files (x86)\App\a.exe", "core", "temp"),
        (r"c:\WINDOWS\system32\x.dll", "core", "other"),
        (r"C:\Users\bo\Downloads\a.exe", "other", "temp"),
        (r"C:\Users\bo\AppData\Local\Temp\x\a.exe", "other", "temp"),
        (r"C:\Documents and Settings\bo\Local Settings\Temp\a.exe", "other", "temp"),
        (r"C:\Documents and Settings\bo\Users\a.exe", "other", "temp"),
        (r"C:\Users\bo\Documents\a.exe", "other", "other"),
        (r"C:\Users\bo\sub\Downloads\a.exe", "other", "other"),
        (r"C:\Users\Downloads\a.exe", "other", "other"),
        (r"C:\WindowsOld\a.exe", "other", "other"),
        (r"C:\Data\Windows\a.exe", "other", "other"),
        (r"\Windows\System32\x.dll", "core", "other"),
        (r"C:\Windows", "core", "other"),
        (r"C:\Users\bo\Downloads", "other", "other"),
    ],
)
def test_assertion_02_each_level_consults_only_its_own_list(path: str, core: str, nontemp: str) -> None:
    assert (classify(path, CORE), classify(path, NONTEMP)) == (core, nontemp)
    assert (classify(path, CORE, UNKNOWN), classify(path, NONTEMP, UNKNOWN)) == (core, nontemp)


@pytest.mark.parametrize("level", [AutomationLevel.NONE, AutomationLevel.SEMI_ALL, AutomationLevel.FULL])
def test_the_other_levels_consult_no_list(level: AutomationLevel) -> None:
    assert classify(r"C:\Windows\Temp\a.exe", level) == "other"


@pytest.mark.parametrize(
    ("path", "os_family", "core", "nontemp"),
    [
        ("/usr/bin/curl", LINUX, "core", "other"),
        ("/usr", LINUX, "core", "other"),
        ("/usrlocal/x", LINUX, "other", "other"),
        ("/lib64/ld.so", LINUX, "core", "other"),
        ("/USR/bin/curl", LINUX, "core", "other"),
        ("/tmp/x", LINUX, "other", "temp"),
        ("/TMP/x", LINUX, "other", "other"),
        ("/tmpfiles/x", LINUX, "other", "other"),
        ("/dev/shm/x", LINUX, "other", "temp"),
        ("//tmp///x/", LINUX, "other", "temp"),
        ("/home/bo/Downloads/x", LINUX, "other", "temp"),
        ("/home/bo/work/Downloads/x", LINUX, "other", "other"),
        ("/private/tmp/x", MACOS, "other", "temp"),
        ("/private/etc/hosts", MACOS, "core", "other"),
        ("/private/tmp/x", LINUX, "other", "other"),
        ("/system/Library/x", MACOS, "core", "other"),
        ("/Users/bo/Downloads/x", MACOS, "other", "temp"),
        ("/tmp/x", UNKNOWN, "other", "temp"),
        ("/Windows/System32/x", UNKNOWN, "core", "other"),
        ("/home/bo/x.", UNKNOWN, "unresolvable", "other"),
    ],
)
def test_posix_paths(path: str, os_family: OsFamily, core: str, nontemp: str) -> None:
    assert (classify(path, CORE, os_family), classify(path, NONTEMP, os_family)) == (core, nontemp)


SAME_AS_WINDOWS_TEMP = [
    r"C:/Windows\Temp/a.exe",
    r"\\?\C:\Windows\Temp\a.exe",
    r"//?/C:/Windows/Temp/a.exe",
    r"\??\C:\Windows\Temp\a.exe",
    r"C:\\Windows\\\Temp\a.exe",
    r"d:\wInDoWs\tEmP\a.exe",
]


@pytest.mark.parametrize("path", SAME_AS_WINDOWS_TEMP)
def test_spellings_of_one_folder(path: str) -> None:
    assert (classify(path, CORE), classify(path, NONTEMP)) == ("core", "temp")


DECEIVING = [
    r"C:\Users\bo\Downloads\..\..\..\Windows\System32\x.dll",
    r"C:\Users\bo\Downloads\.\a.exe",
    "C:/Users/bo/Downloads/../../../Windows/x.dll",
    r"C:\PROGRA~1\App\a.exe",
    r"C:\Windows.\x",
    r"C:\Windows \x",
    r"C:\Users\bo\Downloads\a.exe.",
    r"C:\Users\bo\Downloads\a.exe ",
    r"C:\Users\bo\Downloads\file.txt:evil",
    r"C:\Windows::$INDEX_ALLOCATION\x",
    r"%TEMP%\a.exe",
    r"C:\%windir%\a.exe",
    r"\\.\C:\Windows\Temp\a.exe",
    r"\\?\UNC\server\share\Windows\Temp\a.exe",
    r"\\?\GLOBALROOT\Device\HarddiskVolume3\Windows\Temp\a.exe",
    r"\\127.0.0.1\c$\Windows\Temp\a.exe",
    r"\Device\HarddiskVolume3\Windows\Temp\a.exe",
    r"\SystemRoot\Temp\a.exe",
    r"//server/share/Windows/Temp/a.exe",
    "C:\\Users\\bo\\Downloads\\a\0.exe",
    "C:\\Users\\bo\\Downloads\\a\n.exe",
    "C:\\Users\\bo\\Downloads\\a\udcff.exe",
    r"C:Windows\Temp\a.exe",
    r"Windows\Temp\a.exe",
    r'"C:\Windows\Temp\a.exe" -k',
    r"C:\Windows\Temp\*.exe",
    "C:\\",
    "C:",
    "\\",
    "/",
    " ",
    "a.exe",
    "C:\\Users\\bo\\Downloads\\" + "a" * 40_000,
]


@pytest.mark.parametrize("path", DECEIVING, ids=range(len(DECEIVING)))
@pytest.mark.parametrize("os_family", [WINDOWS, UNKNOWN])
def test_what_could_be_another_folder_is_unresolvable(path: str, os_family: OsFamily) -> None:
    assert (classify(path, CORE, os_family), classify(path, NONTEMP, os_family)) == ("unresolvable",) * 2


@pytest.mark.parametrize(
    "path",
    [
        "/tmp/../usr/bin/x",
        "/tmp/./x",
        "tmp/x",
        "~/x",
        "$HOME/x",
        "/proc/self/root/tmp/x",
        "/tmp/a\0b",
        r"C:\Windows\x",
    ],
)
def test_posix_paths_that_could_be_another_folder_are_unresolvable(path: str) -> None:
    assert (classify(path, CORE, LINUX), classify(path, NONTEMP, LINUX)) == ("unresolvable", "unresolvable")


@pytest.mark.parametrize(
    ("path", "core"),
    [("C:\\Windowſ\\x", "core"), ("C:\\Win\u200bdows\\x", "other"), ("C:\\Ｗindows\\x", "other")],
)
def test_letters_that_may_be_equal_count_for_the_core_list(path: str, core: str) -> None:
    assert classify(path, CORE) == core


@pytest.mark.parametrize("name", ["Downloadſ", "Down\u200bloads", "Ｄownloads", "Downloads\u202e"])
def test_letters_that_only_look_equal_do_not_count_for_the_temp_list(name: str) -> None:
    assert classify(f"C:\\Users\\bo\\{name}\\a.exe", NONTEMP) == "other"


def test_case_is_folded_beyond_ascii() -> None:
    rules = [FolderRule(FolderList.TEMP, r"\users\*\téléchargements\*")]
    place = r"C:\Users\bo\TÉLÉCHARGEMENTS\a.exe"
    assert matching.classify(place, NONTEMP, rules, file_like=True, os_family=WINDOWS) == FolderClass.TEMP


@pytest.mark.parametrize("path", [None, ""])
@pytest.mark.parametrize("level", AutomationLevel)
def test_a_missing_path_matters_only_for_files(path: str | None, level: AutomationLevel) -> None:
    assert classify(path, level, file_like=True) == "unresolvable"
    assert classify(path, level, file_like=False) == "no_path"


def test_a_rule_that_is_off_or_for_another_system_does_not_count() -> None:
    rules = [
        FolderRule(FolderList.CORE, r"\windows\*", enabled=False),
        FolderRule(FolderList.CORE, "/windows"),
    ]
    assert (
        matching.classify(r"C:\Windows\x", CORE, rules, file_like=True, os_family=WINDOWS)
        == FolderClass.OTHER
    )


@pytest.mark.parametrize(
    ("path", "level", "folder"),
    [
        (r"c:\WINDOWS\system32\x.dll", CORE, "\\WINDOWS\\"),
        (r"C:\Users\bo\Downloads\a.exe", NONTEMP, "\\Users\\bo\\Downloads\\"),
        (r"C:\Program Files\a\b.exe", NONTEMP, "\\Program Files\\"),
        ("/lib64/x/y.so", CORE, "/lib64/"),
        (r"C:\Users\bo\a.exe", NONTEMP, ""),
    ],
)
def test_the_folder_is_shown_as_the_path_writes_it(path: str, level: AutomationLevel, folder: str) -> None:
    assert matching.locate(path, level, defaults.FOLDER_RULES, file_like=True).folder == folder


BAD_PATTERNS = [
    "", "windows", r"C:\windows\*", "*", "\\", "\\*", "/*", r"\*\*", r"\\server\share", r"\a\..\b", "/a/../b",
    r"\win?ows\*", r"\a*b*c\*", r"\progra~1\*", r"\temp.\*", "\\a\0b", "\\" + "x" * 500,
]  # fmt: skip


@pytest.mark.parametrize("pattern", BAD_PATTERNS, ids=range(len(BAD_PATTERNS)))
def test_patterns_that_mean_everything_or_nothing_certain_are_refused(pattern: str) -> None:
    with pytest.raises(paths.PatternError):
        FolderRule(FolderList.CORE, pattern)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        (r"\a\*\c\*", r"\a\b\c\x", True),
        (r"\a\*\c\*", r"\a\b\b\c\x", False),
        (r"\a\*\c\*", r"\a\c\x", False),
        ("\\a\\", r"\a\x", True),
        ("\\a\\", r"\ab\x", False),
        (r"\a", r"\a", True),
        (r"\a", r"\a\b", True),
        (r"\a", r"\ab", False),
        (r"\a*", r"\ab\c", True),
        (r"\a*c\d", r"\abc\d\e", True),
        (r"\a*c\d", r"\ab\c\d\e", False),
        (r"\a/b\*", r"\a\b\c", True),
        (r"\a.b\*", r"\axb\c", False),
        (r"\a (x86)\*", r"\a (x86)\c", True),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    rules = [FolderRule(FolderList.TEMP, pattern)]
    found = matching.classify(path, NONTEMP, rules, file_like=True, os_family=WINDOWS)
    assert (found == FolderClass.TEMP) is matches


@given(st.text(max_size=60), st.sampled_from(AutomationLevel), st.sampled_from(OsFamily))
def test_any_text_gets_a_class(path: str, level: AutomationLevel, os_family: OsFamily) -> None:
    assert classify(path, level, os_family) in {"core", "temp", "other", "unresolvable"}


SEGMENTS = st.lists(
    st.sampled_from(["Windows", "windows.", "..", "Temp", "Users", "bo", "Downloads", "a:b", "x~1"])
)


@given(SEGMENTS, st.sampled_from(["\\", "/", "//"]), st.sampled_from(["C:", "", "\\\\?\\C:", "\\\\.\\C:"]))
def test_a_temporary_place_never_leaves_its_folder(segments: list[str], separator: str, prefix: str) -> None:
    path = separator.join([prefix, *segments])
    if classify(path, NONTEMP) == "temp":
        assert {"..", "windows.", "a:b", "x~1"}.isdisjoint(segments)
