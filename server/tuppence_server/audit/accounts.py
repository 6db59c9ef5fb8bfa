"""Accounts as a range of the log moves them, and the bytes that a plain payment to one of them consists of."""

from typing import Final

from tuppence_protocol.limits import AMOUNT_MINOR_MAX
from tuppence_protocol.money import format_amount

from .legs import Key

TEXTS_MAX: Final = 65_536
NEVER: Final = b"\x00"
"""No body begins so."""


class FoldedAccount:
    """An account as a range folds it, and how the body of a plain payment to it goes on after the amount."""

    __slots__ = ("credits", "currency", "debits", "low", "low_pos", "owner", "pending", "tail", "texts")

    def __init__(self, owner: str, currency: str, texts: "_Texts", *, person: bool) -> None:
        self.debits = self.credits = self.pending = self.low = self.low_pos = 0
        self.owner = owner if person else ""
        self.currency = currency
        self.texts = texts
        members = f'","currency":"{currency}","payee":"{owner}","state":"completed","alt":"'
        self.tail = members.encode() if person else NEVER


class _Texts(dict[int, bytes]):
    """How the body of a payment of so many minor units begins."""

    def __init__(self, currency: str) -> None:
        self._currency = currency

    def __missing__(self, amount: int) -> bytes:
        if len(self) >= TEXTS_MAX:
            self.clear()
        try:
            text = f'{{"amount":"{format_amount(amount, self._currency)}'.encode()
        except ValueError:
            return NEVER
        return self.setdefault(amount, text if 1 <= amount <= AMOUNT_MINOR_MAX else NEVER)


class Accounts(dict[int, FoldedAccount]):
    """The accounts that a range has moved."""

    def __init__(self, owners: dict[int, Key]) -> None:
        self._owners = owners
        self._texts: dict[str, _Texts] = {}

    def __missing__(self, number: int) -> FoldedAccount:
        owner, currency, code = self._owners.get(number, ("", "", ""))
        texts = self._texts.get(currency)
        if texts is None:
            texts = self._texts[currency] = _Texts(currency)
        account = self[number] = FoldedAccount(owner, currency, texts, person=code == "customer")
        return account
