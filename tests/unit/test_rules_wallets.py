"""What the operator does to accounts, and what each verb then says: freeze, thaw, close, tiers."""

from typing import Any, Final

import pytest
from msgspec.structs import replace
from tests.contract.stores import body_of, command, said
from tests.support.money_world import (
    ON_EVERY_STORE,
    PLAIN,
    MoneyWorld,
    Told,
    told,
    world_of,
)

from tuppence_protocol.errors import Refusal
from tuppence_server.domain.commands import DisableUser, SetFlags, SetTier
from tuppence_server.domain.effects import Outcome
from tuppence_server.domain.policy import Limits
from tuppence_server.domain.rows import CLOSED, FROZEN_IN, FROZEN_OUT

MINE: Final[Told] = ("account_frozen", None, None)
THEIRS: Final[Told] = ("payee_unavailable", None, None)
BOTH: Final = FROZEN_IN | FROZEN_OUT
HOUR_S: Final = 3_600
Deed = tuple[str, str, str, str, dict[str, Any]]
"""Who does what where, to what of the stage, and with which body."""


world = world_of(alice="50", bob="50")


class Stage:
    """Alice and Bob with one payment of every sort between them, for each verb to act on."""

    def __init__(self, world: MoneyWorld) -> None:
        self.world = world
        self.made: dict[str, str] = {}

    async def set(self) -> "Stage":
        """Alice offers and pays; Bob asks her; Alice wraps a packet. All wait an hour."""
        world, last = self.world, {"expires_s": HOUR_S}
        group = await world.group("alice", "bob", "carol")
        shares = [{"user": "@alice"}, {"user": "@bob"}]
        self.made = {
            "group": group,
            "offer": await world.offered("alice", "@bob", "1.00", **last),
            "paid": await world.paid("alice", "@bob", "2.00"),
            "request": await world.made("bob", "pay.request", "@alice", amount="3.00", **EUR, **last),
            "split": await world.made("bob", "pay.split", group, total="8", shares=shares, **EUR, **last),
            "packet": await world.made("alice", "pay.packet", group, total="4", **TWO, **EUR, **last),
            "quote": (await world.quote("alice", "5.00")).id,
        }
        return self

    async def do(self, verb: str) -> Outcome:
        """Do it."""
        if verb == "deposit":
            return await self.world.credit("alice", "1")
        who, kind, place, ref, body = VERBS[verb]
        named = {name: self.made["quote"] if name == "quote" else value for name, value in body.items()}
        return await self.world.do(who, kind, self.made.get(place, place), ref=self.made.get(ref), **named)


EUR: Final = {"currency": "EUR"}
TWO: Final = {"count": 2, "mode": "equal"}
OUT_OF_ALICE: Final[dict[str, Deed]] = {
    "send": ("alice", "pay.send", "@bob", "", {"amount": "1.00", **EUR}),
    "offer": ("alice", "pay.send", "@bob", "", {"amount": "1.00", "accept": True, **EUR}),
    "exchange": ("alice", "pay.send", "@bob", "", {"amount": "5.00", "quote": "its id", **EUR}),
    "pay request": ("alice", "pay.send", "@bob", "request", {"amount": "3.00", **EUR}),
    "pay share": ("alice", "pay.send", "group", "split", {"amount": "4.00", "payee": "@bob", **EUR}),
    "packet": ("alice", "pay.packet", "group", "", {"total": "1.00", **EUR, "count": 1, "mode": "equal"}),
}
"""Alice spends, and says so herself."""
LATER_OUT_OF_ALICE: Final[dict[str, Deed]] = {
    "claim": ("bob", "pay.claim", "group", "packet", {}),
    "accept": ("bob", "pay.accept", "@alice", "offer", {}),
}
"""Bob does something by which Alice's held money leaves her."""
MOVES_NOTHING: Final[dict[str, Deed]] = {
    "decline": ("bob", "pay.decline", "@alice", "offer", {}),
    "cancel": ("alice", "pay.cancel", "@bob", "offer", {}),
    "ask": ("alice", "pay.request", "@bob", "", {"amount": "7", **EUR}),
    "remind": ("bob", "pay.remind", "@alice", "request", {}),
    "waive": ("bob", "pay.waive", "group", "split", {"user": "@alice"}),
    "decline request": ("alice", "pay.decline", "@bob", "request", {}),
    "cancel split": ("bob", "pay.cancel", "group", "split", {}),
}
"""What gives back or only asks is free to everybody."""
VERBS: Final[dict[str, Deed]] = {
    **OUT_OF_ALICE, **LATER_OUT_OF_ALICE, **MOVES_NOTHING,
    "refund": ("bob", "pay.refund", "@alice", "paid", {}),
    "faucet": ("alice", "pay.faucet", "self", "", {"amount": "1", **EUR}),
}  # fmt: skip


def expected(verb: str, who: str, flags: int) -> Told | None:
    """What is told where Alice or Bob is frozen like that; None where it goes through."""
    to_bob = {*OUT_OF_ALICE, *LATER_OUT_OF_ALICE} - {"packet"}
    if who == "alice":
        if flags & FROZEN_OUT and verb in OUT_OF_ALICE:
            return MINE
        if flags & FROZEN_OUT and verb in LATER_OUT_OF_ALICE:
            return THEIRS
        if flags & FROZEN_IN and verb in {"refund", "faucet", "deposit"}:
            return MINE if verb == "faucet" else THEIRS
        return None
    if flags & FROZEN_OUT and verb == "refund":
        return MINE
    if flags & FROZEN_IN and verb in to_bob:
        return MINE if verb in LATER_OUT_OF_ALICE else THEIRS
    return None


# --- frozen ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("currency", [None, "EUR"])
@pytest.mark.parametrize("flags", [FROZEN_IN, FROZEN_OUT, BOTH])
@pytest.mark.parametrize("who", ["alice", "bob"])
@pytest.mark.parametrize("verb", [*VERBS, "deposit"])
async def test_every_verb_with_everybody_frozen_in_every_way(
    world: MoneyWorld, verb: str, who: str, flags: int, currency: str | None
) -> None:
    """Flags stand on a person or on one account; one's own freeze is told, that of the other is not."""
    stage = await Stage(world).set()
    if verb == "exchange" and who == "bob" and currency is not None:
        currency = "JPY"  # where it arrives
    assert said(await world.flag(who, flags, currency)) == "done"
    before = [await world.purse(each) for each in ("alice", "bob")]
    outcome = await stage.do(verb)
    wanted = expected(verb, who, flags)
    if wanted is None:
        assert said(outcome) == "stored", outcome
    else:
        assert told(outcome) == wanted
        assert [await world.purse(each) for each in ("alice", "bob")] == before
    assert said(await world.flag(who, 0, currency, clear=flags)) == "done"
    assert said(await stage.do(verb)) in {"stored", "not_pending", "quote_used"} | ENDED_ONCE


ENDED_ONCE: Final = {
    "already_declined", "already_cancelled", "already_claimed", "already_paid", "already_refunded",
    "already_requested", "too_soon",
}  # fmt: skip


@pytest.mark.parametrize("verb", ["send", "accept", "refund", "claim"])
async def test_an_account_of_another_currency_is_free(world: MoneyWorld, verb: str) -> None:
    stage = await Stage(world).set()
    for who in ("alice", "bob"):
        await world.flag(who, BOTH, "USD")
    assert said(await stage.do(verb)) == "stored"


async def test_a_freeze_of_the_person_holds_for_accounts_that_come_later(world: MoneyWorld) -> None:
    await world.flag("carol", FROZEN_IN)
    assert told(await world.credit("carol", "5", "JPY"))[0] == "payee_unavailable"
    await world.credit("alice", "5", "JPY")
    assert told(await world.pay("alice", "@carol", "5", "JPY")) == THEIRS


@pytest.mark.parametrize("flags", [FROZEN_OUT, BOTH])
@pytest.mark.parametrize("who", ["alice", "bob"])
@ON_EVERY_STORE
async def test_what_is_held_goes_back_to_the_frozen_too(world: MoneyWorld, who: str, flags: int) -> None:
    """The end of a hold moves nothing: after a freeze the posted balance stays."""
    stage = await Stage(world).set()
    held = (await world.purse("alice"))[1]
    assert held == 500
    await world.flag(who, flags)
    world.now += 1_000 * HOUR_S
    for payment in ("offer", "packet", "request", "split"):
        assert body_of(await world.expire(stage.made[payment]))["state"] == "expired"
    assert await world.purse("alice") == (4_800, 0)


async def test_a_thaw_takes_away_what_it_names_and_no_more(world: MoneyWorld) -> None:
    await world.flag("alice", BOTH)
    await world.flag("alice", FROZEN_OUT, "EUR")
    await world.flag("alice", 0, clear=FROZEN_IN)
    assert said(await world.credit("alice", "1")) == "stored"
    assert told(await world.pay("alice", "@bob", "1")) == MINE
    await world.flag("alice", 0, clear=FROZEN_OUT)
    assert told(await world.pay("alice", "@bob", "1")) == MINE, "the account is still frozen"
    await world.flag("alice", 0, "EUR", clear=FROZEN_OUT)
    assert said(await world.pay("alice", "@bob", "1")) == "stored"


@ON_EVERY_STORE
async def test_flags_and_tiers_are_kept(world: MoneyWorld) -> None:
    await world.flag("alice", FROZEN_OUT)
    await world.flag("bob", FROZEN_IN, "KWD")
    world.policy = replace(PLAIN, limits={("shop", "EUR"): Limits()})
    await world.tier("carol", "shop")
    users = {user.handle: (user.flags, user.tier) for user in await world.store.users()}
    assert (users["alice"], users["bob"], users["carol"]) == ((2, "basic"), (0, "basic"), (0, "shop"))
    flags = {(each.owner, each.currency): each.flags for each in await world.store.accounts()}
    assert flags[world.users["bob"], "KWD"] == FROZEN_IN


# --- closed ---------------------------------------------------------------------------------------------


async def empty(world: MoneyWorld, who: str) -> None:
    """Spend all that a person has in euros."""
    available, held = await world.purse(who)
    assert held == 0
    if available:
        other = "@carol" if who != "carol" else "@bob"
        await world.paid(who, other, f"{available // 100}.{available % 100:02}")


@pytest.mark.parametrize("currency", [None, "EUR"])
@ON_EVERY_STORE
async def test_only_what_is_empty_is_closed(world: MoneyWorld, currency: str | None) -> None:
    """Neither with money, nor with a hold, nor with money on its way."""
    assert told(await world.flag("alice", CLOSED, currency))[0] == "not_empty"
    offer = await world.offered("alice", "@carol", "50.00")
    assert told(await world.flag("alice", CLOSED, currency))[0] == "not_empty", "held"
    assert told(await world.flag("carol", CLOSED, currency))[0] == "not_empty", "on its way"
    await world.do("carol", "pay.accept", "@alice", ref=offer)
    assert said(await world.flag("alice", CLOSED, currency)) == "done"
    assert told(await world.flag("carol", CLOSED, currency))[0] == "not_empty"
    await world.paid("carol", "@bob", "50.00")
    assert said(await world.flag("carol", CLOSED, currency)) == "done"
    assert said(await world.flag("dave", CLOSED, currency)) == "done", "who never had anything"


async def test_a_person_is_closed_when_every_account_is_empty(world: MoneyWorld) -> None:
    await empty(world, "alice")
    await world.credit("alice", "1", "JPY")
    refused = await world.flag("alice", CLOSED)
    assert isinstance(refused, Refusal)
    assert refused.code == "not_empty"
    assert "JPY" in refused.message
    assert said(await world.flag("alice", CLOSED, "EUR")) == "done"


async def test_a_person_is_not_closed_while_they_have_a_currency_that_is_enabled_no_more(
    world: MoneyWorld,
) -> None:
    """Only what is empty is closed; that the operator takes a currency off the list empties nothing."""
    await empty(world, "alice")
    await world.credit("alice", "5", "JPY")
    world.policy = replace(PLAIN, currencies=frozenset({"EUR", "USD"}))
    assert told(await world.flag("alice", CLOSED))[0] == "not_empty"


@pytest.mark.parametrize("currency", [None, "EUR"])
async def test_nothing_moves_in_or_out_of_what_is_closed(world: MoneyWorld, currency: str | None) -> None:
    paid = await world.paid("alice", "@carol", "50.00")
    group = await world.group("bob", "alice")
    packet = await world.made("bob", "pay.packet", group, total="1", currency="EUR", count=2, mode="equal")
    assert said(await world.flag("alice", CLOSED, currency)) == "done"
    closed: Told = ("account_closed", None, None)
    assert told(await world.pay("alice", "@bob", "1.00")) == closed
    assert told(await world.pay("alice", "@bob", "1.00", accept=True)) == closed
    body = {"total": "1", "currency": "EUR", "count": 1, "mode": "equal"}
    assert told(await world.do("alice", "pay.packet", group, **body)) == closed
    assert told(await world.do("alice", "pay.claim", group, ref=packet)) == closed
    assert told(await world.do("alice", "pay.faucet", "self", amount="1", currency="EUR")) == closed
    assert told(await world.pay("bob", "@alice", "1.00")) == THEIRS
    assert told(await world.pay("bob", "@alice", "1.00", accept=True)) == THEIRS
    assert told(await world.do("carol", "pay.refund", "@alice", ref=paid)) == THEIRS
    assert told(await world.credit("alice", "1.00"))[0] == "payee_unavailable"
    in_yen = "stored" if currency else "payee_unavailable"
    assert said(await world.credit("alice", "1", "JPY")) == in_yen
    assert said(await world.flag("alice", 0, currency, clear=CLOSED)) == "done"
    assert said(await world.do("carol", "pay.refund", "@alice", ref=paid)) == "stored"


async def test_talking_goes_on_where_the_account_is_closed(world: MoneyWorld) -> None:
    await empty(world, "alice")
    await world.flag("alice", CLOSED)
    assert said(await world.say("alice", "@bob")) == "stored"
    assert said(await world.do("alice", "pay.request", "@bob", amount="1", currency="EUR")) == "stored"


@ON_EVERY_STORE
async def test_in_one_batch_what_comes_first_counts(world: MoneyWorld) -> None:
    """Closing against an incoming payment: one of the two is refused, and never both or none."""
    body = {"amount": "1.00", "currency": "EUR"}
    close = command(SetFlags("carol", None, CLOSED, 0))
    first, second = await world.settle(close, world.frame("alice", "pay.send", "@carol", **body))
    assert (said(first), told(second)) == ("done", THEIRS)
    close = command(SetFlags("dave", None, CLOSED, 0))
    first, second = await world.settle(world.frame("alice", "pay.send", "@dave", **body), close)
    assert (said(first), told(second)[0]) == ("stored", "not_empty")


@pytest.mark.parametrize("flags", [FROZEN_IN, FROZEN_OUT, CLOSED])
async def test_what_is_not_there_is_not_flagged(world: MoneyWorld, flags: int) -> None:
    assert told(await world.flag("nobody", flags)) == ("not_found", "$.handle", None)
    assert told(await world.order(SetTier("nobody", "basic"))) == ("not_found", "$.handle", None)
    assert told(await world.order(SetTier("alice", "basik"))) == ("not_found", "$.tier", None)
    assert told(await world.flag("dave", flags, "CHF")) == ("unknown_currency", "$.currency", None)


async def test_the_same_flag_twice_is_the_same_flag(world: MoneyWorld) -> None:
    for _ in range(2):
        assert said(await world.flag("alice", FROZEN_OUT)) == "done"
    await world.flag("alice", 0, clear=FROZEN_OUT)
    assert said(await world.pay("alice", "@bob", "1")) == "stored"


# --- which is told --------------------------------------------------------------------------------------


async def test_of_several_reasons_the_first_of_the_catalogue_is_told(world: MoneyWorld) -> None:
    """502 one's own account is frozen, 503 it is closed, 504 the other's, 505 both are the same."""
    await empty(world, "alice")
    await world.flag("bob", FROZEN_IN)
    await world.flag("alice", CLOSED | FROZEN_OUT)
    codes = [told(await world.pay("alice", "@bob", "1.00"))[0]]
    await world.flag("alice", 0, clear=FROZEN_OUT)
    codes.append(told(await world.pay("alice", "@bob", "1.00"))[0])
    await world.flag("alice", 0, clear=CLOSED)
    codes.append(told(await world.pay("alice", "@bob", "1.00"))[0])
    assert codes == ["account_frozen", "account_closed", "payee_unavailable"]


async def test_one_who_is_frozen_is_told_so_even_where_the_payee_is_oneself(world: MoneyWorld) -> None:
    await world.flag("alice", FROZEN_OUT)
    assert told(await world.pay("alice", "self", "1.00"))[0] == "account_frozen"


async def test_the_disabled_are_unavailable_like_the_frozen(world: MoneyWorld) -> None:
    await world.say("alice", "@bob")
    await world.order(DisableUser("bob", True))
    disabled = await world.pay("alice", "@bob", "1.00")
    await world.order(DisableUser("bob", False))
    await world.flag("bob", FROZEN_IN)
    frozen = await world.pay("alice", "@bob", "1.00")
    await world.flag("bob", 0, clear=FROZEN_IN)
    await empty(world, "bob")
    await world.flag("bob", CLOSED)
    assert disabled == frozen == await world.pay("alice", "@bob", "1.00"), "and nobody sees which"
