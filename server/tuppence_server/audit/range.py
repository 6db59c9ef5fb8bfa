"""A range of the log, event by event: the chain, the order, the envelopes, and the money of plain payments.

A range can be checked without what lies before it: the hash that its first event builds on is stored, and
sums and order come as differences, which `Whole` puts together. Most events are plain payments and lines of
text, so a piece is checked column by column, and a plain payment against what its transfer calls for;
whatever is not just so is looked at closely.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from struct import pack
from typing import Final, NamedTuple

from msgspec import DecodeError, Struct, json

from tuppence_protocol.kinds import PAYMENT_BODIES, Deposited, PaymentSent, Withdrawn
from tuppence_protocol.limits import AMOUNT_MINOR_MAX
from tuppence_protocol.money import format_amount
from tuppence_protocol.views import SERVER_AUTHOR
from tuppence_server.domain.chain import CHAIN_VERSION
from tuppence_server.store.contract import MoveRow, Piece

from .accounts import Accounts
from .legs import (
    Envelope,
    Key,
    Leg,
    Mismatch,
    credited,
    decode_body,
    decode_envelope,
    legs_of,
    must_be,
    sent,
    withdrawn,
)
from .outcomes import MODULUS, sum_of_events

PROBLEMS_MAX: Final = 20
AMOUNT_TEXTS_MAX: Final = 65_536
MADE_OTHERS: Final = "its transfers are not those that it calls for"
_JUDGED_ALONE: Final = (PaymentSent, Deposited, Withdrawn)
_ENCODED: Final = b"%d %d %d %d pay.send\n"
_SINGLE: Final = " single 0"
UNREADABLE: Final = Envelope("", "", "", 0, 0, "", 0)
Made = MoveRow | list[MoveRow] | None


class Columns(NamedTuple):
    """Consecutive events as they are stored."""

    places: tuple[int, ...]
    convs: tuple[str, ...]
    seqs: tuple[int, ...]
    heads: tuple[bytes, ...]
    bodies: tuple[bytes, ...]
    salts: tuple[bytes, ...]
    hashes: tuple[bytes, ...]


class Plain(Struct, gc=False, forbid_unknown_fields=True):
    """The body of a payment that has nothing special."""

    amount: str
    currency: str
    payee: str
    state: str
    alt: str


class RawEvent(Struct, gc=False, array_like=True):
    """An event that can only be judged together with others, as it is stored,
    and the transfers that it made."""

    pos: int
    envelope: bytes
    body: bytes
    moves: list[MoveRow]


class Sums(Struct, gc=False, array_like=True):
    """What a range did to an account, minor units; `low` is the least that was available,
    and `low_pos` where."""

    debits: int
    credits: int
    pending: int
    low: int
    low_pos: int


class Found(Struct, gc=False):
    """What a range came to, which begins behind `after`; `transfers` are those that belong to its events.

    `firsts` are the seq, pos and time of the first event of each conversation, `lasts` the seq and pos of its
    last. `at` is the time of the last event. `outcomes` is what its events' receipts sum up to.
    """

    after: int
    upto: int
    hash: bytes
    at: int
    events: int
    outcomes: int
    transfers: int
    first_transfer: int
    last_transfer: int
    firsts: dict[str, tuple[int, int, int]]
    lasts: dict[str, tuple[int, int]]
    sums: dict[int, Sums]
    payments: list[RawEvent]
    rooms: list[RawEvent]
    problems: list[str]


class Range:
    """The check of consecutive events, the first of which builds on the hash `previous`."""

    def __init__(self, owners: dict[int, Key], after: int, previous: bytes) -> None:
        self._owners = owners
        self._accounts = Accounts(owners)
        self._firsts: dict[str, tuple[int, int, int]] = {}
        self._lasts: dict[str, int] = {}
        self._last_places: dict[str, int] = {}
        self._payments: list[RawEvent] = []
        self._rooms: list[RawEvent] = []
        self._problems: list[str] = []
        self._after = self._at = after
        self._moment = 0
        self._hash = previous
        self.events = self._outcomes = self._transfers = self._first_transfer = self._last_transfer = 0

    @property
    def kept(self) -> int:
        """How many events are kept, to be taken when the range ends."""
        return len(self._payments) + len(self._rooms)

    def report(self, problem: str) -> None:
        """Note what is not as it must be."""
        if len(self._problems) < PROBLEMS_MAX:
            self._problems.append(problem)

    def found(self) -> Found:
        """What it came to."""
        sums = {
            number: Sums(each.debits, each.credits, each.pending, each.low, each.low_pos)
            for number, each in self._accounts.items()
        }
        lasts = {conv: (seq, self._last_places[conv]) for conv, seq in self._lasts.items()}
        return Found(
            self._after, self._at, self._hash, self._moment, self.events,
            self._outcomes % MODULUS, self._transfers, self._first_transfer, self._last_transfer,
            self._firsts, lasts, sums, self._payments, self._rooms, self._problems,
        )  # fmt: skip

    def take(self, piece: Piece) -> None:
        """The next events with the transfers up to the last of them."""
        events, moves = piece
        self._number(moves)
        if not events:
            self._orphans(moves)
            return
        stored = Columns(*zip(*events, strict=True))
        made = self._made(stored.places, moves)
        self._chain(stored, made)
        envelopes = self._envelopes(stored)
        self._order(stored, envelopes)
        self._money(stored, envelopes, made)
        self._outcomes += sum_of_events(
            [each.id for each in envelopes], [each.from_ for each in envelopes], stored.places
        )
        self.events += len(events)
        self._at, self._hash, self._moment = stored.places[-1], stored.hashes[-1], envelopes[-1].at

    # The chain and the order

    def _number(self, moves: Sequence[MoveRow]) -> None:
        if not moves:
            return
        first, last = moves[0][1], moves[-1][1]
        if not self._first_transfer:
            self._first_transfer, self._last_transfer = first, first - 1
        if last - self._last_transfer != len(moves):  # they come in order, so none is missing in between
            self.report(f"transfers {self._last_transfer + 1} to {last}: some are missing")
        self._last_transfer = last

    def _made(self, places: tuple[int, ...], moves: Sequence[MoveRow]) -> list[Made]:
        """The transfers of each event: none, one, or a list."""
        first, last = self._at + 1, places[-1]
        if last - self._at != len(places):
            self._gaps(places)
        made: list[Made] = [None] * len(places)
        index = None if last - self._at == len(places) else {pos: at for at, pos in enumerate(places)}
        for move in moves:
            at = move[0] - first if index is None else index.get(move[0], -1)
            if not 0 <= at < len(places):
                self._orphans([move])
                continue
            had = made[at]
            if had is None:
                made[at] = move
            elif isinstance(had, list):
                had.append(move)
            else:
                made[at] = [had, move]
        return made

    def _gaps(self, places: tuple[int, ...]) -> None:
        at = self._at
        for pos in places:
            if pos != at + 1:
                self.report(f"pos {pos}: follows {at}; something is missing before it")
            at = pos

    def _orphans(self, moves: Sequence[MoveRow]) -> None:
        for move in moves:
            self.report(f"transfer {move[1]}: belongs to no event")

    def _chain(self, stored: Columns, made: list[Made]) -> None:
        # `domain.chain` written out: a call for each event would cost as much as its hashes.
        encoded = [
            _ENCODED % each[1:5] if type(each) is tuple and each[5] is None else _encoded(each)
            for each in made
        ]
        links = [
            sha256(
                b"".join((
                    CHAIN_VERSION, previous, _LENGTHS[len(head)], head,
                    sha256(salt + body).digest(), _LENGTHS[len(moved)], moved,
                ))
            ).digest()
            for previous, head, body, salt, moved in zip(
                (self._hash, *stored.hashes), stored.heads, stored.bodies, stored.salts, encoded, strict=False
            )
        ]  # fmt: skip
        if links != list(stored.hashes):
            for pos, link, kept in zip(stored.places, links, stored.hashes, strict=True):
                if link != kept:
                    self.report(f"pos {pos}: the hash does not fit what is stored")

    def _envelopes(self, stored: Columns) -> list[Envelope]:
        try:
            envelopes = _envelopes(b"[%b]" % b",".join(stored.heads))
        except DecodeError:
            envelopes = []
        if len(envelopes) == len(stored.heads):
            return envelopes
        for pos, head in zip(stored.places, stored.heads, strict=True):
            try:
                envelopes.append(decode_envelope(head))
            except DecodeError:
                self.report(f"pos {pos}: the envelope cannot be read")
                envelopes.append(UNREADABLE)
        return envelopes[-len(stored.heads) :]

    def _order(self, stored: Columns, envelopes: list[Envelope]) -> None:
        lasts = self._lasts
        self._last_places.update(zip(stored.convs, stored.places, strict=True))
        for pos, conv, seq, envelope in zip(*stored[:3], envelopes, strict=True):
            if envelope.seq != seq or envelope.pos != pos or envelope.conv != conv:
                self.report(f"pos {pos}: the envelope names another place")
            last = lasts.get(conv)
            if last != seq - 1:
                if last is None:
                    self._firsts[conv] = (seq, pos, envelope.at)
                else:
                    self.report(f"pos {pos}: seq {seq} follows {last} in {conv}")
            lasts[conv] = seq

    # Money

    def _money(self, stored: Columns, envelopes: list[Envelope], made: list[Made]) -> None:
        columns = zip(stored.places, envelopes, stored.heads, stored.bodies, made, strict=True)
        for pos, envelope, head, body, moved in columns:
            if moved is None:
                if envelope.kind.startswith("pay."):
                    self._closely(pos, envelope, head, body, [])
                elif envelope.kind.startswith("room."):
                    self._rooms.append(RawEvent(pos, head, body, []))
            elif type(moved) is tuple and self._is_plain(envelope, body, moved):
                payer = self._accounts[moved[2]]
                payer.debits += moved[4]
                self._accounts[moved[3]].credits += moved[4]
                payer.note_low(pos)
                if envelope.ref is not None:
                    self._payments.append(RawEvent(pos, head, body, [moved]))
            else:
                self._closely(pos, envelope, head, body, moved if isinstance(moved, list) else [moved])
        self._transfers += sum(len(each) if type(each) is list else each is not None for each in made)

    def _is_plain(self, envelope: Envelope, body: bytes, move: MoveRow) -> bool:
        """Whether a transfer is just what a payment without anything special calls for."""
        _, _, debit, credit, amount, other = move
        if other is not None or envelope.kind != "pay.send" or debit == credit:
            return False
        try:
            plain = _plain(body)
        except DecodeError:
            return False
        payer, payee = self._accounts[debit], self._accounts[credit]
        return (
            plain.amount == _amount_text(amount, payee.currency)
            and plain.currency == payee.currency == payer.currency
            and plain.payee == payee.owner
            and envelope.from_ == payer.owner
            and plain.state == "completed"
        )

    def _closely(self, pos: int, envelope: Envelope, head: bytes, body: bytes, moves: list[MoveRow]) -> None:
        self._fold(pos, moves)
        try:
            if self._judge(envelope, body, moves):
                self._payments.append(RawEvent(pos, head, body, moves))
        except Mismatch as odd:
            self.report(f"pos {pos}: {odd}")

    def _fold(self, pos: int, moves: list[MoveRow]) -> None:
        touched = []
        for _, _, debit, credit, amount, other in moves:
            phase = "single" if other is None else other.split(" ")[1]
            payer = self._accounts[debit]
            if phase in {"single", "post"}:
                payer.debits += amount
                self._accounts[credit].credits += amount
            if phase != "single":
                # Holds are ended as a whole; where one is not, the event is not as it must be.
                payer.pending += amount if phase == "pending" else -amount
            touched.append(payer)
        for payer in touched:
            payer.note_low(pos)

    def _judge(self, envelope: Envelope, body: bytes, moves: list[MoveRow]) -> bool:
        """Check what an event tells by itself; True where it has to be judged with others."""
        if envelope is UNREADABLE:
            raise Mismatch("the envelope cannot be read")
        kind = envelope.kind
        if kind not in PAYMENT_BODIES:
            raise Mismatch(f"a {kind} moves no money")
        if PAYMENT_BODIES[kind] not in _JUDGED_ALONE:
            return True
        money = decode_body(kind, body)
        assert isinstance(money, _JUDGED_ALONE), "each kind has its class"
        legs: list[Leg]
        author = envelope.from_
        match money:
            case PaymentSent():
                legs = sent(envelope, money)
            case Deposited():
                legs = credited(envelope, money)
                author = money.payee if kind == "pay.faucet" else SERVER_AUTHOR
            case Withdrawn():
                legs, author = withdrawn(money), SERVER_AUTHOR
        if legs != legs_of(moves, self._owners):
            raise Mismatch(f"a {kind} of {money.amount} {money.currency}: {MADE_OTHERS}")
        if isinstance(money, PaymentSent):
            more = money.accept or money.quote or money.received or money.settles or envelope.ref
            return bool(more) or money.state != "completed"
        must_be(envelope.from_, author)
        must_be(money.state, "completed")
        return False


class _Lengths(dict[int, bytes]):
    """Lengths as the chain hashes them; those that occur are few."""

    def __missing__(self, length: int) -> bytes:
        return self.setdefault(length, pack(">I", length))


def _encoded(made: Made) -> bytes:
    """Transfers as the chain hashes them."""
    if made is None:
        return b""
    if isinstance(made, list):
        return b"".join([_encoded(each) for each in made])
    _, number, debit, credit, amount, other = made
    rest = "pay.send" if other is None else other.removesuffix(_SINGLE)
    return f"{number} {debit} {credit} {amount} {rest}\n".encode()


@lru_cache(AMOUNT_TEXTS_MAX)
def _amount_text(amount: int, currency: str) -> str | None:
    """How a payment of so many minor units says its amount; None where there is none of so many."""
    try:
        return format_amount(amount, currency) if 1 <= amount <= AMOUNT_MINOR_MAX else None
    except ValueError:
        return None


_plain: Final = json.Decoder(Plain).decode
_envelopes: Final = json.Decoder(list[Envelope]).decode
_LENGTHS: Final = _Lengths()
