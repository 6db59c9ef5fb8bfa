"""Walking the whole ledger: the audit chain from genesis, every transfer, every counter, every invariant."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from msgspec import Struct

from tuppence_protocol import codec
from tuppence_protocol.money import parse_amount

from .domain import chain
from .domain.rows import GENESIS_HASH, OPERATOR, Account, LoggedEvent, Transfer
from .store.base import Store

PROBLEMS_MAX: Final = 20
_END: Final = 2**62
"""Read on past what the head names, so that rows which it does not know are found."""
Progress = Callable[[int, int], None]


class Report(Struct, frozen=True):
    """What a check found; `problems` is empty where all is well."""

    pos: int
    hash: str
    epoch: str
    events: int
    transfers: int
    accounts: int
    totals: dict[str, int]
    """Minor units that customers hold, by currency."""
    problems: list[str]


class _Check:
    def __init__(self, accounts: list[Account]) -> None:
        self.owners = {account.id: (account.owner, account.currency) for account in accounts}
        self.problems: list[str] = []
        self.hash = GENESIS_HASH
        self.seqs: dict[str, int] = defaultdict(int)
        self.debits: dict[int, int] = defaultdict(int)
        self.credits: dict[int, int] = defaultdict(int)
        self.events = 0
        self.transfers = 0
        self.at = 0

    def wrong(self, problem: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)

    def event(self, event: LoggedEvent, moved: list[Transfer]) -> None:
        """One line of the log with the transfers it made."""
        self.events += 1
        if event.pos != self.at + 1:
            self.wrong(f"pos {event.pos}: follows {self.at}; something is missing before it")
        self.at = event.pos
        commitment = chain.commit(event.salt, event.body)
        digest = chain.link(self.hash, event.head, commitment, chain.encode_transfers(moved))
        if digest != event.hash:
            self.wrong(f"pos {event.pos}: the hash does not fit what is stored")
        self.hash = event.hash
        if event.seq != self.seqs[event.conv] + 1:
            self.wrong(f"pos {event.pos}: seq {event.seq} follows {self.seqs[event.conv]} in {event.conv}")
        self.seqs[event.conv] = event.seq
        if moved or b'"kind":"pay.' in event.head:
            self._money(event, moved)

    def _money(self, event: LoggedEvent, moved: list[Transfer]) -> None:
        head = codec.decode_head(event.head)
        body = codec.fields_of(event.body)
        paid = parse_amount(str(body.get("amount")), str(body.get("currency")))
        if head["pos"] != event.pos or head["seq"] != event.seq or head["conv"] != event.conv:
            self.wrong(f"pos {event.pos}: the envelope names another place")
        if [transfer.amount for transfer in moved] != [paid]:
            self.wrong(f"pos {event.pos}: {head['kind']} says {paid}, its transfers do not")
        payer = OPERATOR if head["kind"] == "pay.deposit" else head["from"]
        parties = [(payer, body.get("currency")), (body.get("payee"), body.get("currency"))]
        for transfer in moved:
            if [self.owners.get(transfer.debit), self.owners.get(transfer.credit)] != parties:
                self.wrong(f"pos {event.pos}: the accounts are not those of its parties")
            self.transfers += 1
            self.debits[transfer.debit] += transfer.amount
            self.credits[transfer.credit] += transfer.amount

    def conversations(self, heads: dict[str, int]) -> None:
        """Where each conversation says it stands against its last event."""
        for conv in heads.keys() | self.seqs.keys():
            if heads.get(conv) != self.seqs.get(conv, 0):
                self.wrong(f"{conv}: stands at {heads.get(conv)}, its last event is {self.seqs.get(conv, 0)}")

    def accounts(self, accounts: list[Account]) -> dict[str, int]:
        """The counters against the fold of the transfers."""
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        held: dict[str, int] = defaultdict(int)
        for account in accounts:
            if account.debits_posted != self.debits.pop(account.id, 0):
                self.wrong(f"account {account.id}: debits differ from its transfers")
            if account.credits_posted != self.credits.pop(account.id, 0):
                self.wrong(f"account {account.id}: credits differ from its transfers")
            if account.code == "customer":
                held[account.currency] += account.credits_posted - account.debits_posted
                if account.available < 0:
                    self.wrong(f"account {account.id}: below zero")
            sums[account.currency][0] += account.debits_posted
            sums[account.currency][1] += account.credits_posted
        for currency, (debited, credited) in sums.items():
            if debited != credited:
                self.wrong(f"{currency}: debits {debited} are not credits {credited}")
        for unknown in [*self.debits, *self.credits]:
            self.wrong(f"account {unknown}: has transfers but does not exist")
        return dict(held)


async def verify(store: Store, progress: Progress | None = None) -> Report:
    """Check everything up to where the log stands. The store must be at rest."""
    head = await store.head()
    accounts = await store.accounts()
    check = _Check(accounts)
    transfers = _Transfers(store.transfers(0, _END))
    async for events in store.log(0, _END):
        for event in events:
            check.event(event, await transfers.of(event.pos))
        if progress is not None:
            progress(check.events, head.pos)
    if check.at != head.pos or check.hash != head.hash:
        check.wrong(f"the log ends at {check.at}; the head says {head.pos}")
    if check.transfers != head.transfer_id or await transfers.left():
        check.wrong(f"{check.transfers} transfers belong to events; the head says {head.transfer_id}")
    totals = check.accounts(accounts)
    check.conversations(await store.heads())
    receipts = await store.receipts()
    if receipts.dangling:
        check.wrong(f"{receipts.dangling} receipts name events that are not there")
    if receipts.stored != check.events:
        check.wrong(f"{check.events} events, but {receipts.stored} receipts that name one")
    return Report(
        head.pos, head.hash.hex(), head.epoch, check.events, check.transfers, len(accounts), totals,
        check.problems,
    )  # fmt: skip


class _Transfers:
    """Transfers in order, handed out event by event."""

    def __init__(self, pieces: AsyncIterator[Sequence[Transfer]]) -> None:
        self._pieces = pieces
        self._piece: list[Transfer] = []
        self._next = 0

    async def of(self, pos: int) -> list[Transfer]:
        """Those that the event at `pos` made."""
        moved = []
        while await self._more() and self._piece[self._next].pos <= pos:
            moved.append(self._piece[self._next])
            self._next += 1
        return moved

    async def left(self) -> bool:
        """True where some belong to no event."""
        return await self._more()

    async def _more(self) -> bool:
        while self._next >= len(self._piece):
            piece = await anext(self._pieces, None)
            if piece is None:
                return False
            self._piece, self._next = list(piece), 0
        return True
