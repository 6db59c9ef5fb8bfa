"""What a decision would do to its author's money, read from its facts."""

from collections import defaultdict

from tuppence_server.domain.book import Book
from tuppence_server.domain.effects import Previewed
from tuppence_server.domain.facts import Append, Fact, Move
from tuppence_server.domain.rows import AccountKey


def preview(book: Book, author: str, facts: list[Fact]) -> Previewed:
    """Add up the moves of the one event that the facts would write."""
    append = next(fact for fact in facts if isinstance(fact, Append))
    spends: dict[str, int] = defaultdict(int)
    after: dict[str, tuple[int, int]] = {}
    fee: dict[str, int] = defaultdict(int)
    for move in append.moves:
        for key, sign in ((move.debit, -1), (move.credit, 1)):
            if key[0] == author and key[2] == "customer":
                available, held = after.get(key[1]) or _stands(book, key)
                freed, kept = _effect(move, sign)
                after[key[1]] = (available + freed, held + kept)
        if move.credit[2] == "fees" and move.phase in {"single", "pending", "post"}:
            fee[move.credit[1]] += move.amount
        if move.debit[0] == author and move.phase in {"single", "pending"}:
            spends[move.debit[1]] += move.amount
    borne = next(iter(fee.items()), None)
    return Previewed(append.kind, append.body, dict(spends), borne, after, book.head.pos)


def _effect(move: Move, sign: int) -> tuple[int, int]:
    """What a move does to the available and to the held money of the side that it debits (-1) or credits
    (1)."""
    if sign > 0:
        return (move.amount, 0) if move.phase in {"single", "post"} else (0, 0)
    match move.phase:
        case "single":
            return -move.amount, 0
        case "pending":
            return -move.amount, move.amount
        case "post":
            return move.held - move.amount, -move.held
    return move.held, -move.held


def _stands(book: Book, key: AccountKey) -> tuple[int, int]:
    account = book.accounts[key]
    return (0, 0) if account is None else (account.available, account.held)
