"""Which keys fill which cache of the book, and which changes go to which table; once, for every store."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from tuppence_server.domain.book import Book
from tuppence_server.domain.changes import Changes
from tuppence_server.domain.keys import Keys
from tuppence_server.domain.pay.limits import oldest_slot
from tuppence_server.domain.rows import Account, Member, PairKey, Payment, Quote, Share

from . import schema


class Lookup(Struct, frozen=True, eq=False):
    """The rows of a table whose columns `by` are one of some keys; a key of one column is no tuple.

    Columns of `fixed` have that value. With `since`, a key's last part is the least that this column may be.
    """

    table: schema.Table
    by: tuple[str, ...]
    fixed: tuple[tuple[str, str], ...] = ()
    since: str = ""


Rows = Iterable[Any]
Find = Callable[[Lookup, Collection[Any]], Awaitable[Rows]]
"""How a store finds rows: those of a look-up by these keys, of which there is one at least."""

RECEIPTS: Final = Lookup(schema.RECEIPT, ("id",))
EVENTS: Final = Lookup(schema.EVENT, ("pos",))
USERS, HANDLES, SKELETONS = (Lookup(schema.USER, (column,)) for column in ("id", "handle", "skeleton"))
SESSIONS: Final = Lookup(schema.SESSION, ("id",))
CONVERSATIONS, PAIRS = (Lookup(schema.CONVERSATION, (column,)) for column in ("id", "pair"))
MEMBERS: Final = Lookup(schema.MEMBER, ("conv", "user"))
ACCOUNTS: Final = Lookup(schema.ACCOUNT, ("owner", "currency", "code"))
PAYMENTS: Final = Lookup(schema.PAYMENT, ("id",))
SHARES: Final = Lookup(schema.SHARE, ("payment",))
ASKED: Final = Lookup(schema.PAYMENT, ("payee", "payer"), (("kind", "request"), ("state", "open")))
SIMPLE: Final = {kind: Lookup(table, table.key) for kind, table in schema.SIMPLE.items()}
USES: Final = Lookup(schema.USE, ("user", "currency"), since="slot")
UNUSED_QUOTES: Final = Lookup(schema.SIMPLE[Quote], ("id",), (("used_by", ""),))
STALE_USES: Final = Lookup(schema.USE, ("user", "currency", "slot"))


async def load(find: Find, keys: Keys, book: Book) -> None:
    """Bring the rows that are asked for into the book, one look-up for each kind of key,
    and note which are absent."""

    def member(row: Member) -> None:
        book.members[row.conv, row.user] = row

    def account(row: Account) -> None:
        book.accounts[row.owner, row.currency, row.code] = row

    await _load_receipts(find, keys.receipts, book)
    since = oldest_slot(book.now) if keys.uses else 0
    lookups: tuple[tuple[Lookup, Collection[Any], Callable[[Any], None]], ...] = (
        (CONVERSATIONS, keys.conversations, book.cache_conversation),
        (PAIRS, keys.pairs, book.cache_conversation),
        (USERS, keys.users, book.cache_user),
        (HANDLES, keys.handles, book.cache_user),
        (SKELETONS, keys.skeletons, book.cache_user),
        (SESSIONS, keys.sessions, book.cache_session),
        (MEMBERS, keys.members, member),
        (ACCOUNTS, keys.accounts, account),
        *(
            (lookup, [key for each, key in keys.simple if each is kind], book.cache_simple)
            for kind, lookup in SIMPLE.items()
        ),
        (USES, [(*key, since) for key in keys.uses], book.cache_use),
    )
    for lookup, wanted, cache in lookups:
        if wanted:
            for row in await find(lookup, wanted):
                cache(row)
    await _load_payments(find, keys, book)
    book.mark_absent(keys)


async def _load_payments(find: Find, keys: Keys, book: Book) -> None:
    if keys.payments:
        found: dict[str, Payment] = {row.id: row for row in await find(PAYMENTS, keys.payments)}
        shares: dict[str, list[Share]] = {id: [] for id in found}
        if found:
            for share in await find(SHARES, found):
                shares[share.payment].append(share)
        for id, payment in found.items():
            book.cache_payment(payment, shares[id])
        await _load_receipts(find, keys.payments - found.keys(), book)
    if keys.open_requests:
        asked: dict[PairKey, list[Payment]] = {pair: [] for pair in keys.open_requests}
        for row in await find(ASKED, keys.open_requests):
            asked[row.payee, row.payer].append(row)
        for pair, payments in asked.items():
            book.cache_open_requests(pair, payments)


async def _load_receipts(find: Find, ids: Collection[str], book: Book) -> None:
    found = await find(RECEIPTS, ids) if ids else ()
    receipts = {row.id: row for row in found}
    book.receipts.update(receipts)
    if stored := [row.pos for row in receipts.values() if row.pos is not None]:
        book.events.update({row.pos: row for row in await find(EVENTS, stored)})


def written(changes: Changes) -> Iterator[tuple[schema.Table, Collection[Any]]]:
    """The rows that a batch writes by table, in the order to be written; tables without any are left out."""
    stays, members = _parted(changes.members, changes.stays)
    opened, accounts = _parted(changes.accounts, changes.opened)
    receipts = changes.receipts.values()
    for table, rows in (
        (schema.USER, changes.users.values()),
        (schema.SESSION, changes.sessions.values()),
        (schema.CONVERSATION, changes.conversations.values()),
        (schema.STAY, stays),
        (schema.MEMBER, members),
        (schema.EVENT, changes.events.values()),
        (schema.STORED_RECEIPT, [row for row in receipts if row.pos is not None]),
        (schema.REFUSED_RECEIPT, [row for row in receipts if row.pos is None]),
        (schema.NEW_ACCOUNT, opened),
        (schema.ACCOUNT, accounts),
        (schema.TRANSFER, changes.transfers),
        (schema.PAYMENT, [*changes.partly_refunded, *changes.payments.values()]),
        (schema.SHARE, changes.shares.values()),
        *(
            (table, [row for row in changes.simple.values() if type(row) is kind])
            for kind, table in schema.SIMPLE.items()
        ),
        (schema.USE, changes.uses.values()),
    ):
        if rows:
            yield table, rows


def dropped(changes: Changes) -> Iterator[tuple[Lookup, Collection[Any]]]:
    """The rows that a batch has done with, by what finds them."""
    for lookup, keys in (
        (UNUSED_QUOTES, changes.dropped_quotes),
        (SESSIONS, changes.dropped_sessions),
        (STALE_USES, changes.dropped_uses),
    ):
        if keys:
            yield lookup, keys


def _parted(rows: dict[Any, Any], keys: set[Any]) -> tuple[Collection[Any], Collection[Any]]:
    """The rows of those keys, and the others."""
    if not keys:
        return (), rows.values()
    of_keys = [row for key, row in rows.items() if key in keys]
    return of_keys, [row for key, row in rows.items() if key not in keys]
