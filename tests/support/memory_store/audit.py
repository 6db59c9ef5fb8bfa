"""What the check of the whole ledger reads of the memory store."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence

from msgspec.structs import replace
from tests.support.memory_store.money import MemoryMoney

from tuppence_protocol import codec
from tuppence_protocol.views import SERVER_AUTHOR
from tuppence_server.domain.rows import (
    FROZEN_IN,
    FROZEN_OUT,
    OPERATOR,
    Conversation,
    IdempotencyRecord,
    Member,
    User,
)
from tuppence_server.store.contract import Listed, Misplaced, OutcomeRow, Wanted, folded


class MemoryAudit(MemoryMoney):
    """Every row of its kind, and what does not belong together."""

    async def outcomes(self) -> AsyncIterator[Sequence[OutcomeRow]]:
        rows = [((r.id + r.sender).encode(), r.pos) for r in self._receipts.values() if r.pos is not None]
        if rows:
            yield rows

    async def refusals(self) -> AsyncIterator[Sequence[IdempotencyRecord]]:
        yield [receipt for receipt in self._receipts.values() if receipt.pos is None]

    async def misplaced(self, limit: int) -> Misplaced:
        own = {}
        for event in self._events:
            head = codec.decode_head(event.head)
            author = OPERATOR if head["from"] == SERVER_AUTHOR else head["from"]
            own[head["id"], author, event.pos] = event.pos
        stored = {(r.id, r.sender, r.pos) for r in self._receipts.values() if r.pos is not None}
        events = [own[each] for each in own if each not in stored]
        return Misplaced(events[:limit], sorted(each[0] for each in stored - own.keys())[:limit])

    async def all_conversations(self) -> list[Conversation]:
        return [replace(conversation) for conversation in self._conversations.values()]

    async def all_members(self) -> AsyncIterator[Sequence[Member]]:
        yield [replace(member) for member in self._members.values()]

    async def password_kinds(self) -> dict[str, int]:
        return Counter(user.password.rsplit("$", 2)[0] for user in self._users.values() if user.password)

    async def people(self, wanted: Wanted, after: str, limit: int) -> list[Listed]:
        search = folded(wanted.search)
        found = []
        for user in sorted(self._users.values(), key=lambda user: user.handle):
            listed = self._listed(user)
            if (
                user.handle > after
                and (search in user.handle or search in folded(user.name) or search == user.id)
                and wanted.tier in (None, user.tier)
                and wanted.disabled in (None, user.disabled)
                and wanted.frozen in (None, listed.frozen)
            ):
                found.append(listed)
        return found[:limit]

    async def listed(self, handle: str) -> Listed | None:
        return next((self._listed(user) for user in self._users.values() if user.handle == handle), None)

    def _listed(self, user: User) -> Listed:
        own = (account.flags for account in self._accounts.values() if account.owner == user.id)
        frozen = any(flags & (FROZEN_IN | FROZEN_OUT) for flags in (user.flags, *own))
        logins = [s.created_at for s in self._sessions.values() if s.user == user.id]
        return Listed(replace(user), max(logins, default=0), frozen)

    async def faults(self) -> list[str]:
        return []
