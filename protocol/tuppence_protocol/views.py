"""What a server sends is made of, and the objects that several kinds hold.

A later server may add members, and words where they are open.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct


def _examples(*words: str) -> Meta:
    return Meta(extra_json_schema={"examples": list(words)})


# Words that a later server may add to: a client must live with one that it does not know.
Role = Annotated[str, _examples("owner", "admin", "member", "reader")]
State = Annotated[
    str,
    _examples(
        "completed", "pending", "open", "paid", "declined", "cancelled", "expired", "waived", "settled",
        "emptied", "partly_refunded", "refunded",
    ),
]  # fmt: skip
FeeOn = Annotated[str, _examples("payer", "payee")]
Mode = Annotated[str, _examples("sandbox", "live")]
ConversationKind = Annotated[str, _examples("dm", "group", "self")]
Why = Annotated[str, _examples("first", "epoch", "too_far")]
SERVER_AUTHOR: Final = "server"
"""The `from` of an event that no user wrote."""


class Extensible(Struct, frozen=True, gc=False):
    """An object that a server sends."""


class ServerFrame(Struct, frozen=True, tag_field="kind"):
    """What a server sends beside events."""


class PaymentBody(Extensible, frozen=True):
    """The body of an event of money: it tells the new `state` of its payment."""

    @property
    def state(self) -> State:
        """Every kind of money has this member."""
        raise NotImplementedError


class UserView(Extensible, frozen=True):
    id: str
    handle: str
    name: str = ""


class Money(Extensible, frozen=True):
    """An amount of a currency, in major units."""

    amount: str
    currency: str


class BalanceView(Extensible, frozen=True):
    """Decimal strings in major units; what the ledger says at `pos`."""

    currency: str
    available: str
    held: str
    pos: int


class Share(Extensible, frozen=True):
    """One person's part of a split bill."""

    user: str
    amount: str
    state: State
