"""A ledger in which money has moved in every way there is, for what reads and checks it."""

from typing import Final

from tests.contract.stores import START_MS, body_of, said
from tests.support.money_world import DAY_MS, MoneyWorld, id_of

from tuppence_server.domain.policy import FeeRule, Policy
from tuppence_server.store.contract import Store

POLICY: Final = Policy(
    frozenset({"EUR", "JPY", "USD"}),
    "sandbox",
    fees=(
        FeeRule("send", "EUR", "*", 10, 0, 0, None, "payer"),
        FeeRule("send", "USD", "*", 25, 0, 0, None, "payee"),
        FeeRule("packet", "EUR", "*", 7, 0, 0, None, "payer"),
        FeeRule("exchange", "EUR", "*", 50, 0, 0, None, "payer"),
    ),
    spread_ppm=10_000,
)


class BusyWorld(MoneyWorld):
    """Alice, Bob and Carol, and the ids of their payments by what became of them."""

    ids: dict[str, str]
    group_id: str

    async def expired(self, name: str) -> None:
        """The time of a payment is over."""
        self.now += 31 * DAY_MS
        outcome = await self.expire(self.ids[name])
        assert said(outcome) == "stored"
        self.ids[f"end of {name}"] = id_of(outcome)


async def busy_world(store: Store) -> BusyWorld:
    """Everything that can happen to money happens once, or twice where that matters."""
    world = BusyWorld(store, POLICY)
    world.ids = {}
    assert world.now == START_MS
    await world.register("alice", "bob", "carol")
    world.ids["deposit"] = id_of(await world.credit("alice", "1000"))
    await world.credit("bob", "100", "USD")
    await world.do("carol", "pay.faucet", "self", amount="50", currency="EUR")
    await _sends(world)
    await _asks(world)
    await _packets(world)
    await _exchanges(world)
    return world


async def _sends(world: BusyWorld) -> None:
    ids = world.ids
    ids["plain"] = await world.paid("alice", "@bob", "10", note='Lunch, "late"')
    ids["dollars"] = await world.paid("bob", "@alice", "5", "USD")
    for name, currency, amount in (("accepted", "EUR", "20"), ("accepted dollars", "USD", "3")):
        payer, payee = ("alice", "bob") if currency == "EUR" else ("bob", "alice")
        ids[name] = await world.offered(payer, f"@{payee}", amount, currency)
        ids[f"accept of {name}"] = await world.made(payee, "pay.accept", f"@{payer}", ref=ids[name])
    ids["declined"] = await world.offered("alice", "@bob", "7")
    ids["decline"] = await world.made("bob", "pay.decline", "@alice", ref=ids["declined"], reason="No need")
    ids["cancelled"] = await world.offered("alice", "@bob", "8")
    ids["cancel"] = await world.made("alice", "pay.cancel", "@bob", ref=ids["cancelled"])
    ids["expired"] = await world.offered("alice", "@bob", "9")
    await world.expired("expired")
    ids["refunded"] = await world.paid("alice", "@bob", "12")
    ids["first refund"] = await world.made("bob", "pay.refund", "@alice", ref=ids["refunded"], amount="5")
    ids["second refund"] = await world.made("bob", "pay.refund", "@alice", ref=ids["refunded"])
    ids["part"] = await world.made("bob", "pay.refund", "@alice", ref=ids["accepted"], amount="1.50")
    ids["pending"] = await world.offered("alice", "@bob", "6", expires_s=30 * 86_400)


async def _asks(world: BusyWorld) -> None:
    ids, group = world.ids, await world.group("alice", "bob", "carol")
    world.group_id = group
    for number, name in enumerate(("paid", "refused", "withdrawn", "overdue", "late request"), 1):
        ids[name] = await world.made("bob", "pay.request", "@alice", amount=f"{number}", currency="EUR")
    ids["payment"] = await world.paid("alice", "@bob", "1", ref=ids["paid"])
    await world.made("alice", "pay.decline", "@bob", ref=ids["refused"])
    await world.made("bob", "pay.cancel", "@alice", ref=ids["withdrawn"])
    ids["reminder"] = await world.made("bob", "pay.remind", "@alice", ref=ids["late request"])
    shares = [{"user": f"@{who}"} for who in ("alice", "bob", "carol")]
    for name in ("settled", "dropped", "split"):
        ids[name] = await world.made("alice", "pay.split", group, total="10", currency="EUR", shares=shares)
    ids["share"] = await world.paid("bob", group, "3.33", payee="@alice", ref=ids["settled"])
    ids["no"] = await world.made("carol", "pay.decline", group, ref=ids["settled"])
    await world.made("alice", "pay.cancel", group, ref=ids["dropped"])
    ids["waiver"] = await world.made("alice", "pay.waive", group, ref=ids["split"], user="@bob")
    await world.expired("overdue")
    ids["open request"] = await world.made("bob", "pay.request", "@alice", amount="5", currency="EUR")


async def _packets(world: BusyWorld) -> None:
    ids, group = world.ids, world.group_id
    for name, mode in (("emptied", "lucky"), ("stale", "equal")):
        ids[name] = await world.made(
            "alice", "pay.packet", group, total="6", currency="EUR", count=2, mode=mode, expires_s=86_400 * 30
        )
        ids[f"claim of {name}"] = await world.made("bob", "pay.claim", group, ref=ids[name])
    ids["last claim"] = await world.made("carol", "pay.claim", group, ref=ids["emptied"])
    await world.expired("stale")
    ids["packet"] = await world.made(
        "alice", "pay.packet", group, total="6", currency="EUR", count=2, mode="lucky"
    )
    ids["claim"] = await world.made("bob", "pay.claim", group, ref=ids["packet"])


async def _exchanges(world: BusyWorld) -> None:
    ids = world.ids
    for name, place in (("exchanged", "@bob"), ("own exchange", "self")):
        quote = await world.quote("alice", "20", pair="EUR/JPY")
        payee = {} if place == "@bob" else {"payee": "@alice"}
        made = await world.do(
            "alice", "pay.send", place, amount="20", currency="EUR", quote=quote.id, **payee
        )
        assert body_of(made)["received"]["currency"] == "JPY"
        ids[name] = id_of(made)
        ids[f"quote of {name}"] = quote.id
    await world.quote("alice", "20", pair="EUR/JPY")  # never used
    await world.made("bob", "pay.refund", "@alice", ref=ids["exchanged"], amount="100")
