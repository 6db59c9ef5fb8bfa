"""What the road needs of a store: rows come back as they went in, and a save is all or nothing."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.contract.stores import (
    EPOCH,
    KINDS,
    POLICY,
    START_MS,
    Counted,
    World,
    commit,
    event_id,
    opened,
    wire_id,
)
from tests.support.memory_store.store import MemoryStore

from tuppence_server.domain.book import Book
from tuppence_server.domain.changes import Changes
from tuppence_server.domain.facts import Flag
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.pay.limits import SLOT_MS
from tuppence_server.domain.rows import (
    Account,
    Conversation,
    IdempotencyRecord,
    LoggedEvent,
    LogHead,
    Member,
    Payment,
    Quote,
    Session,
    Share,
    Transfer,
    Use,
    User,
)
from tuppence_server.store.contract import Misplaced, Store, StoreFault

ALICE, BOB = wire_id("u_", 1), wire_id("u_", 2)
DM, GROUP = wire_id("c_", 1), wire_id("c_", 2)
EUR = (ALICE, "EUR", "customer")
CASH = ("operator", "EUR", "cash")
PACKET = Payment(
    event_id(3), 1, START_MS, "packet", GROUP, ALICE, "", "EUR", 12, "open",
    fee=4, fee_on="payee", refunded=5, received=6, received_currency="EUR", hold=7, fee_hold=8,
    expires_at=START_MS + 9, mode="lucky", count=3, claimed=1, seed=b"s" * 32, reminded_at=START_MS + 2,
    refund_transfer=4,
)  # fmt: skip
REQUEST = Payment(event_id(4), 2, START_MS, "request", DM, ALICE, BOB, "EUR", 10**15, "open")
SHARES = [
    Share(PACKET.id, 1, BOB, 5, "claimed", 2),
    Share(PACKET.id, 2, "", 4, "open", 4),
    Share(PACKET.id, 3, "", 3, "open", 5),
]
QUOTE = Quote(event_id(5), ALICE, "EUR", "JPY", 1_000, 1_615, 5, 11, "162.34", START_MS + 60_000, event_id(6))
SLOT = START_MS // SLOT_MS
USES = [Use(ALICE, "EUR", SLOT, 500, 2), Use(ALICE, "EUR", SLOT - 3, 0, 1), Use(BOB, "EUR", SLOT, 7, 1)]


def batch() -> tuple[Changes, LogHead]:
    """One row of every type and shape, no field at its default."""
    changes = Changes()
    alice = User(ALICE, "alice", "a11ce", "Alice Ä. 𝄞", "$argon2id$…", False, START_MS, "vip", 3)
    bob = User(BOB, "bob", "bob", "", None, True, START_MS + 1)
    changes.users = {user.id: user for user in (alice, bob)}
    changes.sessions = {
        "s_open": Session("s_open", ALICE, "hash 1", "phone", START_MS, START_MS + 5),
        "s_ended": Session("s_ended", ALICE, "hash 2", "old phone", START_MS, START_MS + 5, START_MS + 3),
    }
    changes.conversations = {
        DM: Conversation(DM, "dm", "", f"{ALICE}|{BOB}", START_MS, 1, 1, 2, 0),
        GROUP: Conversation(GROUP, "group", "Club \N{SNOWMAN}", None, START_MS, 1, 2, 1, 1),
    }
    changes.members = {
        (DM, ALICE): Member(DM, ALICE, "member", 1),
        (GROUP, BOB): Member(GROUP, BOB, "reader", 2, 9, 4, 5),
    }
    changes.accounts = {
        EUR: Account(1, *EUR, 5, 10**18, 7, 3, 2),
        CASH: Account(2, *CASH, 2**62, 0, 0, 0),
    }
    changes.events = {
        1: LoggedEvent(1, DM, 1, b'{"kind":"pay.send"}', '{"note":"Ä"}'.encode(), b"s" * 16, b"h" * 32),
        2: LoggedEvent(2, GROUP, 1, b'{"ref":"%s"}' % PACKET.id.encode(), b"{}", b"t" * 16, b"i" * 32),
    }
    changes.receipts = {
        event_id(1): IdempotencyRecord(event_id(1), ALICE, 1, None),
        event_id(2): IdempotencyRecord(event_id(2), BOB, None, b'{"code":"expired"}'),
    }
    changes.transfers = [
        Transfer(1, 1, 2, 1, 10**15, "pay.send"),
        Transfer(2, 1, 2, 1, 5, "pay.packet", "pending"),
        Transfer(3, 2, 2, 1, 5, "pay.packet", "post", 2),
        Transfer(4, 2, 2, 1, 5, "pay.refund"),
    ]
    changes.currencies = {"EUR": 2}
    changes.payments = {payment.id: payment for payment in (PACKET, REQUEST)}
    changes.shares = {(share.payment, share.n): share for share in SHARES}
    changes.simple = {(Quote, QUOTE.id): QUOTE}
    changes.uses = {(use.user, use.currency, use.slot): use for use in USES}
    return changes, LogHead(EPOCH, 2, b"i" * 32, 2, 4, START_MS + 9)


def all_keys() -> Keys:
    keys = Keys()
    keys.users, keys.sessions = {ALICE, BOB}, {"s_open", "s_ended"}
    keys.conversations, keys.members = {DM, GROUP}, {(DM, ALICE), (GROUP, BOB)}
    keys.receipts, keys.accounts = {event_id(1), event_id(2)}, {EUR, CASH}
    keys.payments, keys.open_requests, keys.simple = (
        {PACKET.id, REQUEST.id},
        {(BOB, ALICE)},
        {(Quote, QUOTE.id)},
    )
    keys.uses = {(ALICE, "EUR")}
    return keys


async def load(store: Store, keys: Keys) -> Book:
    book = Book(await store.head(), POLICY, Counted())
    book.begin(START_MS)
    await store.load(keys, book)
    return book


async def test_every_row_comes_back_as_it_was_saved(store: Store) -> None:
    changes, head = batch()
    await commit(store, changes, head)
    book = await load(store, all_keys())
    expected, _ = batch()
    assert replace(book.head, seals={}) == head
    assert book.users == expected.users
    assert book.sessions == expected.sessions
    assert book.conversations == expected.conversations
    assert book.members == expected.members
    assert book.accounts == expected.accounts
    assert book.receipts == expected.receipts
    assert book.events == {1: expected.events[1]}, "an event comes with the receipt that names it"
    assert [row async for rows in store.log(0, 2) for row in rows] == [*expected.events.values()]
    assert [row async for rows in store.transfers(0, 4) for row in rows] == expected.transfers
    assert book.payments == expected.payments
    assert book.shares == {PACKET.id: SHARES}
    assert book.open_requests == {(BOB, ALICE): {REQUEST.id}}, "by who asks and who is asked"
    assert book.simple == expected.simple
    assert book.uses == {(ALICE, "EUR"): {use.slot: use for use in USES[:2]}}
    assert await store.accounts() == list(expected.accounts.values())


async def test_rows_are_found_by_their_second_names(store: Store) -> None:
    await commit(store, *batch())
    keys = Keys()
    keys.handles, keys.skeletons, keys.pairs = {"bob"}, {"a11ce"}, {f"{ALICE}|{BOB}"}
    book = await load(store, keys)
    assert book.user_by_handle("bob") == batch()[0].users[BOB]
    assert book.users[ALICE] == batch()[0].users[ALICE]
    assert book.conversation_by_pair(f"{ALICE}|{BOB}") == batch()[0].conversations[DM]


async def test_what_is_absent_is_held_as_none(store: Store) -> None:
    await commit(store, *batch())
    keys = Keys()
    for table in Keys.__slots__:
        getattr(keys, table).add("nothing" if table != "simple" else (Quote, "nothing"))
    keys.members, keys.accounts = (
        {(DM, BOB), (DM, "nobody")},
        {(BOB, "EUR", "customer"), (ALICE, "EUR", "cash")},
    )
    keys.open_requests, keys.uses = {(ALICE, BOB), (BOB, "nobody")}, {(ALICE, "JPY"), ("nobody", "EUR")}
    book = await load(store, keys)
    for table in set(Keys.__slots__) - {"payments", "open_requests", "uses"}:
        assert getattr(book, table) == dict.fromkeys(getattr(keys, table)), table
    assert (book.payments, book.no_payments) == ({}, {"nothing"})
    assert book.open_requests == {(ALICE, BOB): set(), (BOB, "nobody"): set()}
    assert book.uses == {(ALICE, "JPY"): {}, ("nobody", "EUR"): {}}


async def test_a_row_that_the_book_holds_is_not_undone_by_absence(store: Store) -> None:
    await commit(store, *batch())
    book = await load(store, all_keys())
    book.mark_absent(all_keys())
    assert book.users[ALICE] is not None
    assert book.accounts[EUR] is not None


async def test_nobody_holds_what_is_stored(store: Store) -> None:
    await commit(store, *batch())
    book = await load(store, all_keys())
    account, member, user = book.accounts[EUR], book.members[DM, ALICE], book.users[ALICE]
    assert account is not None
    assert member is not None
    assert user is not None
    account.credits_posted = member.read = 1
    user.disabled = True
    (await store.head()).pos = 77
    again = await load(store, all_keys())
    assert again.accounts[EUR] == batch()[0].accounts[EUR]
    assert again.members[DM, ALICE] == batch()[0].members[DM, ALICE]
    assert again.users[ALICE] == batch()[0].users[ALICE]
    assert again.head.pos == 2


async def test_a_later_save_replaces_rows_and_keeps_the_others(store: Store) -> None:
    await commit(store, *batch())
    later = Changes()
    before = batch()[0]
    later.users[BOB] = replace(before.users[BOB], name="Bobby", disabled=False)
    later.members[GROUP, BOB] = replace(before.members[GROUP, BOB], until=None, read=9, role="owner")
    later.stays.add((GROUP, BOB))
    later.accounts[EUR] = replace(before.accounts[EUR], debits_posted=6)
    later.conversations[GROUP] = replace(before.conversations[GROUP], title="Gang", seq=2, pos=3)
    await commit(store, later, LogHead(EPOCH, 2, b"i" * 32, 2, 1))
    book = await load(store, all_keys())
    assert book.users == before.users | later.users
    assert book.members == before.members | later.members
    assert book.accounts == before.accounts | later.accounts
    assert book.conversations == before.conversations | later.conversations


async def test_ending_a_user_revokes_the_open_logins_alone(store: Store) -> None:
    await commit(store, *batch())
    later = Changes()
    later.users = batch()[0].users
    later.sessions["s_new"] = Session("s_new", ALICE, "hash 3", "tablet", START_MS, START_MS + 5)
    later.sessions["s_bob"] = Session("s_bob", BOB, "hash 4", "tablet", START_MS, START_MS + 5)
    later.ended_users[ALICE] = START_MS + 4
    await commit(store, later, await store.head())
    keys = Keys()
    keys.sessions = {"s_open", "s_ended", "s_new", "s_bob"}
    found = {
        key: row.revoked_at for key, row in (await load(store, keys)).sessions.items() if row is not None
    }
    assert found == {
        "s_open": START_MS + 4,
        "s_ended": START_MS + 3,
        "s_new": None,  # opened after the end, in the same batch
        "s_bob": None,
    }


async def test_a_save_that_fails_leaves_nothing(store: Store) -> None:
    changes, head = batch()
    if isinstance(store, MemoryStore):
        store.fail = StoreFault("the disk is gone", fatal=False)
    else:
        changes.transfers.append(Transfer(2, 1, 1, 1, 5, "from an account to itself"))
    with pytest.raises(StoreFault) as fault:
        await commit(store, changes, head)
    assert not fault.value.fatal
    assert replace(await store.head(), seals={}) == LogHead(EPOCH)
    book = await load(store, all_keys())
    for table in ("users", "sessions", "conversations", "members", "accounts", "receipts"):
        assert set(getattr(book, table).values()) == {None}, table
    assert not [row async for rows in store.log(0, 9) for row in rows]
    assert not [row async for rows in store.transfers(0, 9) for row in rows]
    assert await store.users() == []
    await commit(store, *batch())
    assert (await store.head()).pos == 2


async def test_one_outcome_per_id(store: Store) -> None:
    """A second receipt under an id would be a second payment: the whole save is refused."""
    await commit(store, *batch())
    second = Changes()
    second.users[BOB] = replace(batch()[0].users[BOB], name="Robert")
    second.receipts = {event_id(1): IdempotencyRecord(event_id(1), ALICE, 2, None)}
    with pytest.raises(StoreFault):
        await commit(store, second, LogHead(EPOCH, 3, b"j" * 32, 2, 1))
    book = await load(store, all_keys())
    assert book.users[BOB] == batch()[0].users[BOB]
    assert book.receipts[event_id(1)] == batch()[0].receipts[event_id(1)]
    assert book.head.pos == 2


async def test_receipts_and_events_that_do_not_belong_together_are_told(tmp_path: Path) -> None:
    for kind in KINDS:
        async with opened(kind, tmp_path) as store:
            world = World(store)
            await world.register("alice")
            for _ in "12":
                await world.credit("alice", "1")
            assert await store.misplaced(9) == Misplaced([], [])
            later = Changes()
            later.receipts = {event_id(7): IdempotencyRecord(event_id(7), ALICE, 2, None)}
            await commit(store, later, await store.head())
            assert await store.misplaced(9) == Misplaced([], [event_id(7)])
            assert [row async for rows in store.outcomes() for row in rows] == [
                (f"{event_id(number)}{sender}".encode(), pos)
                for number, sender, pos in ((1, "operator", 1), (2, "operator", 2), (7, ALICE, 2))
            ]


async def test_the_log_is_read_in_ranges(store: Store) -> None:
    await commit(store, *batch())
    for after, upto, expected in ((0, 1, [1]), (1, 2, [2]), (1, 99, [2]), (2, 99, []), (0, 0, [])):
        assert [row.pos async for rows in store.log(after, upto) for row in rows] == expected


async def test_a_new_account_never_takes_the_number_of_another(store: Store) -> None:
    """A head that is behind its accounts must not cost anybody their balance."""
    book = Book(LogHead(EPOCH), POLICY, Counted())
    book.begin(START_MS)
    book.accounts[EUR] = None
    book.apply(Flag(EUR, 1))
    await commit(store, book.changes, book.head)
    behind = Book(LogHead(EPOCH), POLICY, Counted())
    behind.begin(START_MS)
    behind.accounts[CASH] = None
    behind.apply(Flag(CASH, 2))
    with pytest.raises(StoreFault):
        await commit(store, behind.changes, behind.head)
    assert await store.accounts() == [Account(1, *EUR, flags=1)]
