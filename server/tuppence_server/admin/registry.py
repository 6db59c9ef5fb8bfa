"""What the operator looks up: people, a page at a time or one with all there is to know,
and single payments."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from tuppence_protocol.codec import fields_of
from tuppence_protocol.kinds import LISTED
from tuppence_protocol.money import format_amount
from tuppence_server.domain.rows import CLOSED, FROZEN_IN, FROZEN_OUT, User
from tuppence_server.reports.payments import payment_view
from tuppence_server.store.contract import AdminReads, Funds, Item, Listed, Wanted

from .arguments import Named, Search, Whose
from .credentials import handle_meant
from .refusals import NO_PAYMENT, NOBODY, Refused

LOGINS_SHOWN_MAX: Final = 200
_FLAGS: Final = ((FROZEN_IN, "frozen in"), (FROZEN_OUT, "frozen out"), (CLOSED, "closed"))


class Registry:
    """Looks people and payments up; every answer is plain JSON values.
    Raises `Refused` where there is nothing."""

    def __init__(self, store: AdminReads, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._clock_ms = clock_ms

    async def people(self, given: Search) -> list[dict[str, Any]]:
        """Some of those who are wanted, by handle; as many as the limit where there may be more."""
        wanted = Wanted(handle_meant(given.search), given.tier, given.frozen, given.disabled)
        found = await self._store.people(wanted, handle_meant(given.after), given.limit)
        return [_listed(each) for each in found]

    async def person(self, given: Whose) -> dict[str, Any]:
        """One person, with their balances and logins."""
        listed = await self._store.listed(given.handle)
        if listed is None:
            raise Refused(NOBODY)
        user = listed.user
        logins = await self._store.sessions(user.id, self._clock_ms(), LOGINS_SHOWN_MAX)
        funds, pos = await self._store.funds(user.id)
        return _listed(listed) | {
            "flags": _flags(user),
            "groups": user.groups,
            "pos": pos,
            "balances": balances(funds),
            "logins": [
                {"session": s.id, "device": s.device, "created_at": s.created_at, "expires_at": s.expires_at}
                for s in logins
            ],
        }

    async def payment(self, given: Named) -> dict[str, Any]:
        """One payment as it stands, with its note and the handles of who pays and is paid."""
        payment = given.payment
        rows = await self._store.load_payments([payment], [], [payment])
        event = rows.events.get(payment)
        head = {} if event is None else fields_of(event.head)
        if event is None or head["kind"] not in LISTED:
            raise Refused(NO_PAYMENT)
        body = fields_of(event.body)
        row = rows.payments.get(payment)
        if head["kind"] == "pay.claim":
            packet = str(head["ref"])
            row = (await self._store.load_payments([packet], [], [])).payments.get(packet)
        item = Item(event, row, tuple(rows.shares.get(payment, ())))
        view = msgspec.to_builtins(payment_view(item))
        found = {name: value for name, value in view.items() if value is not None}
        for side in ("payer", "payee"):
            if party := await self._store.person(str(view.get(side) or "")):
                found[f"{side}_handle"] = party.handle
        return found | {name: body[name] for name in ("note", "reason", "title") if body.get(name)}


def _listed(listed: Listed) -> dict[str, Any]:
    user = listed.user
    return {
        "id": user.id,
        "handle": user.handle,
        "name": user.name,
        "tier": user.tier,
        "frozen": listed.frozen,
        "disabled": bool(user.disabled),
        "created_at": user.created_at,
        "last_login": listed.last_login or None,
    }


def balances(funds: Sequence[Funds]) -> list[dict[str, str]]:
    """What of each currency somebody has, in major units."""
    return [
        {
            "currency": each.currency,
            "available": format_amount(each.available, each.currency),
            "held": format_amount(each.held, each.currency),
        }
        for each in funds
    ]


def _flags(user: User) -> list[str]:
    return [name for flag, name in _FLAGS if user.flags & flag]
