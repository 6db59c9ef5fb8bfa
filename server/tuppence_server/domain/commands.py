"""Commands that do not come from clients' sockets: HTTP, the command line, receipts.
They take the same road."""

from typing import ClassVar

from msgspec import Struct

from tuppence_protocol.shapes import Durable


class Command(Struct, frozen=True, tag_field="command", forbid_unknown_fields=True, gc=False):
    """A command of the server itself or its operator."""


class EventCommand(Command, frozen=True):
    """A command that becomes an event of this kind; `id` is its idempotency key, `ref` what it is about."""

    kind: ClassVar[str]
    id: str

    @property
    def ref(self) -> str | None:
        """The payment that it acts on, if any."""
        return getattr(self, "payment", None)


class CreateUser(Command, tag="user.create", frozen=True):
    """Register a person; `conv` is the id of their `self` conversation."""

    user: str
    conv: str
    handle: str
    name: str
    password: str | None


class SetPassword(Command, tag="user.passwd", frozen=True):
    """Give a person another password hash; all logins end."""

    handle: str
    password: str


class DisableUser(Command, tag="user.disable", frozen=True):
    """Shut a person out, or let them in again; all logins end."""

    handle: str
    disabled: bool


class OpenSession(Command, tag="session.open", frozen=True):
    """Log a device in. `proof` is the password hash that was checked, so that a change meanwhile wins.

    `renewed` is the same password hashed as the settings say now, where `proof` is not.
    """

    session: str
    user: str
    token_hash: str
    device: str
    expires_at: int
    proof: str | None
    renewed: str | None = None


class RevokeSession(Command, tag="session.revoke", frozen=True):
    """Log a device out."""

    session: str
    user: str


class Deposit(EventCommand, tag="pay.deposit", frozen=True):
    """Credit a person with money that the operator took in; `id` is its idempotency key."""

    kind = "pay.deposit"
    handle: str
    amount: str
    currency: str
    note: str | None


class Withdraw(EventCommand, tag="pay.withdraw", frozen=True):
    """Take money out of a person's balance; `id` is its idempotency key.

    With `force` the operator bears what is not there, so that no balance falls below zero.
    """

    kind = "pay.withdraw"
    handle: str
    amount: str
    currency: str
    reason: str
    note: str | None
    force: bool


class Reverse(EventCommand, tag="pay.reverse", frozen=True):
    """Give back all that is left of a payment, whatever its payee says; `force` as for a withdrawal."""

    kind = "pay.reverse"
    payment: str
    reason: str
    note: str | None
    force: bool


class Expire(EventCommand, tag="pay.expire", frozen=True):
    """The time of a payment is over; `id` is new, since what a client can guess a client can take."""

    kind = "pay.expire"
    payment: str


class OpenQuote(Command, tag="quote.open", frozen=True):
    """Promise a person an exchange at the rate `numerator` / `denominator`,
    in units of `buy` for one of `sell`.

    `amount` is what is sold or bought, by `side`. Without a rate, `numerator` is 0 and `missing` says why.
    """

    quote: str
    owner: str
    sell: str
    buy: str
    amount: str
    side: str
    numerator: int
    denominator: int
    missing: str | None = None


class Preview(Command, tag="preview", frozen=True):
    """Decide a person's frame without keeping anything of it."""

    frame: Durable


class SetFlags(Command, tag="wallet.flags", frozen=True):
    """Freeze, thaw or close a person's account in a currency, or, with `currency` None, all of them."""

    handle: str
    currency: str | None
    set: int
    clear: int


class SetTier(Command, tag="user.tier", frozen=True):
    """Move a person to another tier of limits and fees."""

    handle: str
    tier: str


class Forget(Command, tag="forget", frozen=True):
    """Drop of these rows what nobody needs any more: quotes and logins by id, spending by user,
    currency and slot."""

    quotes: tuple[str, ...]
    sessions: tuple[str, ...]
    uses: tuple[tuple[str, str, int], ...]


class Probe(Command, tag="probe", frozen=True):
    """Commit nothing, to see whether the store takes it."""


class StartEpoch(Command, tag="epoch.start", frozen=True):
    """Begin another generation of the log, unless it is no longer the one of which this was asked."""

    epoch: str
    instead_of: str


class MarkSeen(Command, tag="seen", frozen=True):
    """A person's devices got, or the person read, a conversation up to these seqs."""

    conv: str
    user: str
    read: int
    delivered: int
