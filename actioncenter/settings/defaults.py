"""What a fresh installation starts with: the documented folder rows (domain §4.2)."""

from collections.abc import Sequence

from actioncenter.settings.enums import FolderList
from actioncenter.settings.matching import FolderRule

_DOCUMENTED = "Documented."
_EITHER = "Documented, consider switching off: programs are installed here."
_POSIX = "Not documented; our choice for other systems."

FOLDER_RULES: Sequence[FolderRule] = (
    FolderRule(FolderList.CORE, r"\windows\*", note=_DOCUMENTED),
    FolderRule(FolderList.CORE, r"\program files\*", note=_DOCUMENTED),
    FolderRule(FolderList.CORE, r"\program files (x86)\*", note=_DOCUMENTED),
    *(
        FolderRule(FolderList.CORE, pattern, note=_POSIX)
        for pattern in ("/bin", "/sbin", "/usr", "/lib*", "/boot", "/etc", "/System", "/Library")
    ),
    FolderRule(FolderList.TEMP, r"\users\*\appdata\local\temp\*", note=_DOCUMENTED),
    FolderRule(FolderList.TEMP, r"\documents and settings\*\local settings\temp\*", note=_DOCUMENTED),
    FolderRule(FolderList.TEMP, r"\documents and settings\*\local settings\temporary\*", note=_DOCUMENTED),
    FolderRule(FolderList.TEMP, r"\windows\temp\*", note=_DOCUMENTED),
    FolderRule(FolderList.TEMP, r"\users\*\downloads\*", note=_DOCUMENTED),
    FolderRule(FolderList.TEMP, "\\program files\\", note=_EITHER),
    FolderRule(FolderList.TEMP, r"\program files (x86)\*", note=_EITHER),
    FolderRule(FolderList.TEMP, r"\documents and settings\*\users\*", note=_DOCUMENTED),
    *(
        FolderRule(FolderList.TEMP, pattern, note=_POSIX)
        for pattern in ("/tmp", "/var/tmp", "/dev/shm", "/home/*/Downloads", "/Users/*/Downloads")  # noqa: S108 - patterns, no file is made
    ),
)
