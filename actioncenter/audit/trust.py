"""Which public key may sign which seal.

It begins with the keys that somebody trusts. A seal signed with one of them can hand over to another
(audit/seals.py): from the next number on the new one is trusted too, and the one that handed over no more,
so that whoever steals an old key can add nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from actioncenter.audit import seals
from actioncenter.audit.seals import SealText

FOR_EVER: Final = 1 << 62


@dataclass(slots=True)
class _Reign:
    """The numbers of the seals that a key may sign."""

    public: bytes
    first: int = 0
    last: int = FOR_EVER


class Trust:
    def __init__(self, keys: Iterable[bytes]) -> None:
        """`keys` are 32 public bytes each."""
        self._reigns = {seals.key_id(key): _Reign(key) for key in keys}
        self.signers: list[str] = []
        """Ids of the keys that handovers led to, in their order."""

    def objection(self, number: int, key: str, text: str, signature: str) -> str:
        """Why the signature counts for nothing; empty when it counts."""
        reign = self._reigns.get(key)
        if reign is None:
            return f"its key {key} isn't trusted, and no trusted key handed over to it"
        if not reign.first <= number <= reign.last:
            return f"its key {key} had handed over to another"
        return "" if seals.is_signed(reign.public, text, signature) else "its signature is wrong"

    def knows(self, key: str) -> bool:
        return key in self._reigns

    def doubt(self, key: str, text: str, signature: str) -> str:
        """Why the signature of something that has no place among the seals counts for nothing; empty when it counts."""
        reign = self._reigns.get(key)
        if reign is None:
            return f"its key {key} isn't trusted"
        return "" if seals.is_signed(reign.public, text, signature) else "its signature is wrong"

    def follow(self, key: str, said: SealText) -> None:
        """Take up what a seal says whose signature counts. Once or again and again."""
        successor = bytes.fromhex(said.successor)
        if not successor or key == (heir := seals.key_id(successor)):
            return
        self._reigns[key].last = min(self._reigns[key].last, said.number)
        if heir not in self._reigns:
            self._reigns[heir] = _Reign(successor, first=said.number + 1)
        if heir not in self.signers:
            self.signers.append(heir)
