"""What is held against the model after every step: the store, the book, and what people read."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tests.property.model.amounts import show
from tests.property.model.records import (
    ENABLED,
    IDS,
    MONTH_MS,
    NAMES,
    PEOPLE,
    SLOT_MS,
    Payment,
    windows,
)

from tuppence_protocol.errors import Refusal
from tuppence_protocol.kinds import PaymentsBody, StatementBody
from tuppence_server.audit.verify import verify
from tuppence_server.domain.book import Book
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.pay.limits import oldest_slot
from tuppence_server.domain.rows import LogHead
from tuppence_server.reports import statement
from tuppence_server.reports.payments import payments_page
from tuppence_server.store.contract import Misplaced

if TYPE_CHECKING:
    from tests.property.simulation.simulation import Simulation


BOOK_EVERY: Final = 3
"""Events after which the book is held against the store."""
READ_EVERY: Final = 5
"""Events after which a statement and a list of payments are read."""
EXPECTED_LOGS: Final = frozenset({"clock_behind", "clock_jumped", "store_fault", "sweep_refused"})
BOOK_TABLES: Final = (
    "users", "handles", "skeletons", "sessions", "conversations", "pairs", "members", "accounts", "payments",
    "open_requests", "simple",
)  # fmt: skip


async def check_all(simulation: "Simulation", *, whole: bool = False) -> None:
    """The store against the model and against itself; with `whole` every row."""
    assert simulation.road.writable
    assert simulation.road.fatals == 0
    assert not [entry for entry in simulation.logged if entry["event"] not in EXPECTED_LOGS], (
        simulation.logged
    )
    simulation.logged.clear()
    await simulation.fold.read(simulation)
    head = await simulation.store.head()
    assert (head.pos, head.hash, head.transfer_id) == (
        simulation.fold.pos,
        simulation.fold.hash,
        simulation.fold.transfer,
    )
    await _check_accounts(simulation)
    if whole or not simulation.fold.pos % BOOK_EVERY:
        await _check_book(simulation)
    await _check_payments(simulation, simulation.model.payments if whole else simulation.touched)
    simulation.touched = {}
    if whole:
        await _check_rest(simulation)
    if whole or not simulation.fold.pos % READ_EVERY:
        turn = simulation.fold.pos // READ_EVERY
        places = [(who, currency) for who in PEOPLE for currency in ENABLED]
        for who, currency in places if whole else [places[turn % len(places)]]:
            await _check_statement(simulation, who, currency)
        for who in PEOPLE if whole else [PEOPLE[turn % len(PEOPLE)]]:
            await _check_list(simulation, who)


async def _check_book(simulation: "Simulation") -> None:
    """With nothing on its way, every row that the road's book holds is as the store has it."""
    held, stored, keys = simulation.road._book, Book(LogHead(""), simulation.policy, simulation.fresh), Keys()
    stored.begin(held.now)
    for table in (*BOOK_TABLES, "uses"):
        getattr(keys, table).update(getattr(held, table))
    await simulation.store.load(keys, stored)
    for table in (*BOOK_TABLES, "shares"):
        found = getattr(stored, table)
        for key, row in getattr(held, table).items():
            assert row == found.get(key), f"the book's {table} are older than what is stored"
    since = oldest_slot(held.now)
    for use, slots in held.uses.items():
        assert {slot: row for slot, row in slots.items() if slot >= since} == stored.uses[use]


async def _check_accounts(simulation: "Simulation") -> None:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    pending: Counter[tuple[int, int]] = Counter()
    for hold in simulation.fold.holds.values():
        pending[hold.debit, 2] += hold.amount
        pending[hold.credit, 3] += hold.amount
    seen = set()
    for account in await simulation.store.accounts():
        counters = [
            account.debits_posted, account.credits_posted, account.debits_pending, account.credits_pending
        ]  # fmt: skip
        who = NAMES[account.owner]
        key = (who, account.currency, account.code)
        seen.add(key)
        assert counters == simulation.fold.counters[account.id], "counters are the fold of the transfers"
        assert counters == simulation.model.accounts[key], "counters are what the model says"
        assert counters[2:] == [pending[account.id, 2], pending[account.id, 3]], "what is open is held"
        for number, counter in enumerate(counters):
            sums[account.currency][number] += counter
        if account.code == "customer":
            assert account.available >= 0, "nobody owes"
            assert account.flags == simulation.model.account_flags[who, account.currency]
    for debits, credits_, held, coming in sums.values():
        assert (debits, held) == (credits_, coming), "debits are credits"
    assert not [
        key for key, counters in simulation.model.accounts.items() if any(counters) and key not in seen
    ]
    for who in PEOPLE:
        funds, pos = await simulation.store.funds(IDS[who])
        assert pos == simulation.fold.pos
        for each in funds:
            assert each.available == simulation.model.available(who, each.currency)
            assert each.held == simulation.model.accounts[who, each.currency, "customer"][2]


async def _check_payments(simulation: "Simulation", stand: dict[str, Payment]) -> None:
    if not stand:
        return
    book = await rows(simulation, payments=list(stand))
    for payment in stand.values():
        row = book.payments[payment.id]
        found = (
            row.kind, row.conv, row.payer, row.payee, row.currency, row.amount, row.state, row.at,
            row.expires_at, row.fee, row.received, row.received_currency, row.refunded, row.claimed,
            row.reminded_at,
        )  # fmt: skip
        wanted = (
            payment.kind, payment.room.id, IDS.get(payment.payer, ""), IDS.get(payment.payee, ""),
            payment.currency, payment.amount, payment.state, payment.at, payment.expires_at, payment.fee,
            payment.received, payment.received_currency, payment.refunded, payment.claimed,
            payment.reminded_at,
        )  # fmt: skip
        assert found == wanted
        assert row.refunded <= row.received
        shares = [(s.person, s.amount, s.state) for s in book.shares.get(payment.id, [])]
        assert shares == [(IDS.get(p.person, ""), p.amount, p.state) for p in payment.parts]
        if shares:
            assert sum(amount for _, amount, _ in shares) == payment.amount


async def _check_rest(simulation: "Simulation") -> None:
    """Limits, requests, what is due and who may read what, as they are stored."""
    simulation.tell_time()
    for room in simulation.model.groups():
        for who in PEOPLE:
            page = await simulation.store.history(IDS[who], room.id, None, None, 200)
            assert (page is not None) == (who in room.roles)
    oldest = (simulation.model.now - MONTH_MS) // SLOT_MS
    pairs = [(IDS[one], IDS[other]) for one in PEOPLE for other in PEOPLE]
    uses = [(IDS[who], currency) for who in PEOPLE for currency in ("EUR", "JPY", "KWD")]
    book = await rows(simulation, asked=pairs, uses=uses)
    for pair, found in book.open_requests.items():
        asked = {
            payment.id
            for payment in simulation.model.payments.values()
            if (payment.kind, payment.state) == ("request", "open")
            and pair == (IDS[payment.payee], IDS[payment.payer])
        }
        assert found == asked
    for (who, currency), slots in book.uses.items():
        counted = [
            each
            for each in windows(simulation.model.uses[NAMES[who], currency])
            if each[0] >= oldest and (each[1] or each[2])
        ]
        kept = [(use.slot, use.amount, use.count) for use in slots.values() if use.amount or use.count]
        assert sorted(kept) == counted
    assert await simulation.store.due(simulation.model.now, 10_000) == simulation.model.due()
    report = await verify(simulation._reads)
    assert report.problems == []
    assert (report.pos, report.holds) == (simulation.fold.pos, len(simulation.fold.holds))
    held = Counter[str]()
    for (_, currency, code), (debits, credits_, _, _) in simulation.model.accounts.items():
        held[currency] += credits_ - debits if code == "customer" else 0
    assert +Counter(report.totals) == +held
    assert await simulation.store.misplaced(1) == Misplaced([], [])


async def _check_statement(simulation: "Simulation", who: str, currency: str) -> None:
    """Opening and lines are closing, for all time and for a part of it."""
    numbers = {key: number for number, key in simulation.fold.keys.items()}
    number = numbers.get((who, currency, "customer"), 0)
    moved = [
        (simulation.model.lines[pos - 1].at, pos, amount)
        for pos, amount in simulation.fold.posted.get(number, [])
    ]
    parts: list[tuple[int | None, int | None]] = [(None, None)]
    if moved:
        parts.append((moved[len(moved) // 3][0], moved[len(moved) * 2 // 3][0]))
    for since, until in parts:
        inside = [each for each in moved if since is None or since <= each[0] < (until or 0)]
        balance = sum(amount for at, _, amount in moved if since is not None and at < since)
        opening, after, lines = balance, None, []
        while True:
            given = {"from_": since, "to": until, "after": after}
            known = {name: value for name, value in given.items() if value is not None}
            page = await statement.page(
                simulation._reads, IDS[who], StatementBody(currency, **known, limit=50)
            )
            assert not isinstance(page, Refusal)
            lines += page.lines
            after = page.next
            if after is None:
                break
        wanted = []
        for at, pos, amount in inside:
            balance += amount
            wanted.append((at, pos, show(amount, currency), show(balance, currency)))
        assert [(line.at, line.pos, line.amount, line.balance) for line in lines] == wanted
        assert (page.opening, page.closing) == (show(opening, currency), show(balance, currency))
        assert page.pos == simulation.fold.pos


async def _check_list(simulation: "Simulation", who: str) -> None:
    """A person's payments, latest first, as they stand."""
    found: list[Any] = []
    before: int | None = None
    while True:
        body = PaymentsBody(limit=50) if before is None else PaymentsBody(limit=50, before=before)
        page = await payments_page(simulation._reads, IDS[who], body)
        found += page.payments
        before = page.next
        if before is None:
            break
    wanted = []
    for pos, line in reversed(list(enumerate(simulation.model.lines, 1))):
        content = line.content
        payment = simulation.model.payments.get(content["id"])
        if payment is not None and who in {payment.payer, payment.payee, *_sharers(payment)}:
            wanted.append((pos, content["id"], payment.state, show(payment.amount, payment.currency)))
        elif content["kind"] in {"pay.deposit", "pay.withdraw", "pay.faucet", "pay.claim"}:
            body_ = line.body or {}
            borne = body_.get("shortfall") == body_["amount"]  # nothing of theirs was moved
            named = body_["payer" if content["kind"] == "pay.withdraw" else "payee"]
            if named == IDS[who] and not borne:
                wanted.append((pos, content["id"], "completed", body_["amount"]))
    assert [(view.pos, view.id, view.state, view.amount) for view in found] == wanted
    for view in found:
        payment = simulation.model.payments.get(view.id)
        if payment is None:
            continue
        refunded = show(payment.refunded, payment.received_currency) if payment.refunded else None
        assert view.refunded == refunded
        if payment.kind == "split":
            shares = [(IDS[part.person], part.state) for part in payment.parts]
            assert [(share.user, share.state) for share in view.shares or []] == shares


async def rows(
    simulation: "Simulation",
    *,
    payments: Sequence[str] = (),
    asked: Sequence[tuple[str, str]] = (),
    uses: Sequence[tuple[str, str]] = (),
) -> Book:
    """Rows as the road loads them."""
    book = Book(LogHead(""), simulation.policy, simulation.fresh)
    book.begin(simulation.model.now)
    keys = Keys()
    keys.payments |= set(payments)
    keys.open_requests |= set(asked)
    keys.uses |= set(uses)
    await simulation.store.load(keys, book)
    return book


def _sharers(payment: Payment) -> list[str]:
    return [part.person for part in payment.parts] if payment.kind == "split" else []
