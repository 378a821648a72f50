"""The requirements as they stand in requirements.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("requirements.toml")
CREDIT: Final = "Mapped to OWASP APTS 0.1.0 by OWASP, CC BY-SA 4.0; the wording is ours."
DECISIONS: Final = "K"
"""The owner letter of the decision kernel, whose requirements must hold now."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """`owed` says why it isn't there yet; empty when it is."""

    id: str
    owners: str
    does: str
    owed: str = ""

    @property
    def must_hold(self) -> bool:
        return DECISIONS in self.owners and not self.owed


def requirements() -> list[Requirement]:
    """In the order of the file. Raises TypeError for a field that isn't known."""
    with FILE.open("rb") as file:
        return [Requirement(**fields) for fields in tomllib.load(file)["requirement"]]
