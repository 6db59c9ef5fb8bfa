"""Red packets: what is held, who gets which share, and that anybody can check it."""

from typing import Any

import pytest
from tests.contract.stores import body_of, head_of, said, wire_id
from tests.support.money_world import (
    EXPONENTS,
    NO_PAYMENT,
    ON_EVERY_STORE,
    MoneyWorld,
    Told,
    ended,
    id_of,
    told,
    world_of,
)
from tests.support.waiting import seeded

from tuppence_protocol.errors import CODES
from tuppence_protocol.limits import ACCEPT_S_DEFAULT, BALANCE_MINOR_MAX
from tuppence_protocol.money import format_amount, parse_amount
from tuppence_protocol.packets import Mode, is_fair, proof
from tuppence_server.domain.commands import DisableUser

DAY_MS = 1000 * ACCEPT_S_DEFAULT
EUR = {"currency": "EUR"}
MODES: tuple[Mode, ...] = ("equal", "lucky")
PEOPLE = ("alice", "bob", "carol", "dave")


world = world_of(alice="20")


@pytest.fixture
async def group(world: MoneyWorld) -> str:
    return await world.group(*PEOPLE)


async def wrap(world: MoneyWorld, conv: str, total: str, count: int, mode: str = "equal", **body: Any) -> Any:
    """A packet of Alice's."""
    members = EUR | body
    return await world.do("alice", "pay.packet", conv, total=total, count=count, mode=mode, **members)


async def wrapped(
    world: MoneyWorld, conv: str, total: str, count: int, mode: str = "equal", **body: Any
) -> str:
    """A packet that was made; its id."""
    outcome = await wrap(world, conv, total, count, mode, **body)
    assert said(outcome) == "stored", outcome
    return id_of(outcome)


# --- making one -----------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_a_packet_holds_every_share(world: MoneyWorld, group: str) -> None:
    outcome = await wrap(world, group, "10", 3, note="Happy New Year", expires_s=90)
    body = body_of(outcome)
    assert len(body.pop("proof")) == 64
    assert body == {
        "total": "10.00", "currency": "EUR", "count": 3, "mode": "equal", "state": "open",
        "expires_at": world.now + 90_000, "alt": "@alice put 10.00 EUR into a packet of 3 equal shares",
        "note": "Happy New Year",
    }  # fmt: skip
    assert await world.purse("alice") == (1_000, 1_000)
    assert await world.moved(outcome) == [("pending", "pay.packet", cents) for cents in (334, 333, 333)]
    alone = body_of(await wrap(world, "@bob", "1", 1))
    assert (alone["alt"], alone["expires_at"]) == (
        "@alice put 1.00 EUR into a packet of 1 share", world.now + DAY_MS,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "total", "count", "expected"),
    [
        ("group", "0.02", 3, ("split_sum", "$.body.count", None)),
        ("group", "0.03", 3, "stored"),
        ("group", "20.01", 3, ("insufficient_funds", "$.body.total", {"available": "20.00", **EUR})),
        ("group", "20.00", 100, "stored"),
        ("group", "0", 3, ("amount_range", "$.body.total", None)),
        ("group", "x", 3, ("amount_format", "$.body.total", None)),
        ("self", "1", 1, ("forbidden", "$.conv", None)),
        ("@alice", "1", 1, ("forbidden", "$.conv", None)),
        ("@bob", "1", 1, "stored"),
        ("@bob", "1", 2, ("bad_frame", "$.body.count", None)),
        ("@nobody", "1", 1, ("not_found", "$.conv", None)),
        (wire_id("c_", 99), "1", 1, ("not_found", "$.conv", None)),
    ],
)  # fmt: skip
async def test_what_can_be_wrapped_where(
    world: MoneyWorld, group: str, place: str, total: str, count: int, expected: Any
) -> None:
    outcome = await wrap(world, group if place == "group" else place, total, count)
    if expected == "stored":
        assert said(outcome) == "stored"
    else:
        assert told(outcome) == expected
        assert await world.purse("alice") == (2_000, 0)


async def test_readers_neither_wrap_nor_claim(world: MoneyWorld) -> None:
    group = await world.group("bob", "alice", "carol")
    packet = await wrapped(world, group, "1", 2)
    for who in ("alice", "carol"):
        await world.do("bob", "room.role", group, user=f"@{who}", role="reader")
    assert told(await wrap(world, group, "1", 1)) == ("forbidden", "$.conv", None)
    assert told(await world.do("carol", "pay.claim", group, ref=packet)) == ("forbidden", "$.conv", None)


async def test_of_several_reasons_against_a_packet_the_first_is_told(world: MoneyWorld, group: str) -> None:
    await world.flag("alice", 2)
    wrong = {"who": "alice", "conv": wire_id("c_", 99), "total": "x", **EUR, "count": 100, "mode": "lucky"}
    codes = await world.told_in_turn(
        "pay.packet", wrong,
        {}, {"total": "0.01", "currency": "CHF"}, EUR, {"total": "99"}, {"conv": group},
        lambda: world.flag("alice", 0, clear=2),
    )  # fmt: skip
    assert codes == [
        "amount_format", "unknown_currency", "split_sum", "not_found", "account_frozen", "insufficient_funds",
    ]  # fmt: skip
    assert codes == sorted(codes, key=lambda code: CODES[code].number)


# --- claiming -------------------------------------------------------------------------------------------


@ON_EVERY_STORE
async def test_claims_take_share_after_share_and_the_last_tells_the_seed(
    world: MoneyWorld, group: str
) -> None:
    made = await wrap(world, group, "10", 3)
    packet = id_of(made)
    bodies = []
    for number, (who, amount) in enumerate((("carol", "3.34"), ("alice", "3.33"), ("bob", "3.33")), 1):
        outcome = await world.do(who, "pay.claim", group, ref=packet)
        cents = 334 if number == 1 else 333
        assert await world.moved(outcome) == [("post", "pay.packet", cents), ("single", "pay.claim", cents)]
        assert head_of(outcome)["ref"] == packet
        body = body_of(outcome)
        bodies.append(dict(body))
        seed = body.pop("seed", None)
        assert (seed is not None) is (number == 3)
        assert body == {
            "amount": amount, "currency": "EUR", "payee": world.users[who], "share": number, "count": 3,
            "state": "emptied" if number == 3 else "open",
            "alt": f"@{who} got {amount} EUR of @alice's packet",
        }  # fmt: skip
    assert [await world.purse(who) for who in PEOPLE] == [(1_333, 0), (333, 0), (334, 0), (0, 0)]
    seed = bytes.fromhex(bodies[-1]["seed"])
    assert is_fair(packet, 1_000, 3, "equal", body_of(made)["proof"], seed)
    assert told(await world.do("dave", "pay.claim", group, ref=packet)) == ended("packet_empty", "emptied")
    world.now += DAY_MS
    assert said(await world.expire(packet)) == "done", "nothing is left to give back"
    assert told(await world.do("dave", "pay.claim", group, ref=packet)) == ended("packet_empty", "emptied")


@ON_EVERY_STORE
async def test_each_person_has_one_share(world: MoneyWorld, group: str) -> None:
    packet = await wrapped(world, group, "10", 3)
    await world.do("carol", "pay.claim", group, ref=packet)
    await world.do("bob", "pay.claim", group, ref=packet)
    had: Told = ("already_claimed", "$.ref", {"amount": "3.33", "currency": "EUR", "share": 2})
    assert told(await world.do("bob", "pay.claim", group, ref=packet)) == had
    await world.do("dave", "pay.claim", group, ref=packet)
    assert told(await world.do("bob", "pay.claim", group, ref=packet)) == had, "when it is empty too"
    assert await world.purse("bob") == (333, 0)


async def test_who_had_a_share_of_an_expired_packet_is_told_that_it_expired(
    world: MoneyWorld, group: str
) -> None:
    """`expired` is 601 and `already_claimed` 608, and the one with the lowest number is told."""
    packet = await wrapped(world, group, "10", 3, expires_s=60)
    await world.do("bob", "pay.claim", group, ref=packet)
    world.now += 60_000
    assert told(await world.do("bob", "pay.claim", group, ref=packet))[0] == "expired"


@ON_EVERY_STORE
async def test_one_batch_of_many_claimers(world: MoneyWorld) -> None:
    people = [f"p{number:02}" for number in range(40)]
    await world.register(*people)
    group = await world.group("alice", *people)
    made = await wrap(world, group, "7.77", 10, "lucky")
    packet = id_of(made)
    frames = [world.frame(who, "pay.claim", group, ref=packet) for who in [*people, *people]]
    outcomes = await world.settle(*frames)
    assert [said(each) for each in outcomes[:10]] == ["stored"] * 10
    assert [told(each) for each in outcomes[10:40]] == [ended("packet_empty", "emptied")] * 30
    assert [said(each) for each in outcomes[40:]] == ["already_claimed"] * 10 + ["packet_empty"] * 30
    bodies = [body_of(each) for each in outcomes[:10]]
    assert [body["share"] for body in bodies] == list(range(1, 11))
    amounts = [parse_amount(body["amount"], "EUR") for body in bodies]
    assert sum(amount for amount in amounts if isinstance(amount, int)) == 777
    whole = [amount for amount in amounts if isinstance(amount, int)]
    assert proof(bytes.fromhex(bodies[-1]["seed"]), packet, whole) == body_of(made)["proof"]
    assert await world.purse("alice") == (1_223, 0)


async def test_between_two_the_other_one_claims(world: MoneyWorld) -> None:
    packet = await wrapped(world, "@bob", "1", 1)
    assert told(await world.do("alice", "pay.claim", "@bob", ref=packet)) == ("forbidden", "$.ref", None)
    outcome = await world.do("bob", "pay.claim", "@alice", ref=packet)
    assert (body_of(outcome)["state"], "seed" in body_of(outcome)) == ("emptied", True)
    assert await world.purse("bob") == (100, 0)


async def test_who_comes_later_may_claim_and_who_left_may_not(world: MoneyWorld) -> None:
    group = await world.group("alice", "bob")
    packet = await wrapped(world, group, "1", 2)
    await world.do("bob", "room.leave", group)
    assert told(await world.do("bob", "pay.claim", group, ref=packet)) == ("not_found", "$.conv", None)
    assert told(await world.do("carol", "pay.claim", group, ref=packet)) == ("not_found", "$.conv", None)
    await world.do("alice", "room.invite", group, users=["@carol"])
    assert said(await world.do("carol", "pay.claim", group, ref=packet)) == "stored"


async def test_a_packet_is_claimed_where_it_is(world: MoneyWorld, group: str) -> None:
    packet = await wrapped(world, group, "1", 2)
    assert told(await world.do("bob", "pay.claim", "@alice", ref=packet)) == NO_PAYMENT


async def test_a_packet_of_somebody_disabled_waits_until_they_are_let_in(
    world: MoneyWorld, group: str
) -> None:
    packet = await wrapped(world, group, "1", 2)
    await world.order(DisableUser("alice", True))
    assert told(await world.do("bob", "pay.claim", group, ref=packet))[0] == "payee_unavailable"
    await world.order(DisableUser("alice", False))
    assert said(await world.do("bob", "pay.claim", group, ref=packet)) == "stored"


async def test_a_full_account_claims_nothing(world: MoneyWorld, group: str) -> None:
    """The field that a refusal names is one of the frame; `pay.claim` has no amount."""
    await world.credit("bob", "0.01")
    packet = await wrapped(world, group, "1", 2)
    bob = world.store._accounts[world.users["bob"], "EUR", "customer"]  # type: ignore[attr-defined]
    bob.credits_posted = BALANCE_MINOR_MAX - 49
    refused = await world.do("bob", "pay.claim", group, ref=packet)
    bob.credits_posted = 1
    assert told(refused)[0] == "balance_limit"
    assert told(refused)[1] != "$.body.amount"
    assert said(await world.do("carol", "pay.claim", group, ref=packet)) == "stored"


# --- the end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("claims", "returned"), [(0, "10.00"), (1, "6.66"), (2, "3.33")])
@pytest.mark.parametrize("mode", MODES)
@ON_EVERY_STORE
async def test_what_nobody_claimed_goes_back_and_the_seed_is_told(
    world: MoneyWorld, group: str, mode: Mode, claims: int, returned: str
) -> None:
    made = await wrap(world, group, "10", 3, mode, expires_s=60)
    packet = id_of(made)
    taken = 0
    for who in ("bob", "carol")[:claims]:
        amount = parse_amount(body_of(await world.do(who, "pay.claim", group, ref=packet))["amount"], "EUR")
        assert isinstance(amount, int)
        taken += amount
    world.now += 59_999
    assert said(await world.expire(packet)) == "done"
    world.now += 1
    late = await world.do("dave", "pay.claim", group, ref=packet)
    assert told(late) == ended("expired", "expired"), "before the sweep"
    outcome = await world.expire(packet)
    body = body_of(outcome)
    seed = bytes.fromhex(body.pop("seed"))
    assert is_fair(packet, 1_000, 3, mode, body_of(made)["proof"], seed)
    assert body == {
        "state": "expired",
        "alt": "The packet of 10.00 EUR has expired",
        "returned": {"amount": format_amount(1_000 - taken, "EUR"), "currency": "EUR"},
    }
    if mode == "equal":
        assert body["returned"]["amount"] == returned
    assert {phase for phase, _, _ in await world.moved(outcome)} == {"expire"}
    assert await world.purse("alice") == (2_000 - taken, 0)
    assert told(await world.do("dave", "pay.claim", group, ref=packet)) == ended("expired", "expired")
    assert said(await world.expire(packet)) == "done", "once"


async def test_a_packet_in_a_dm_goes_back_too(world: MoneyWorld) -> None:
    packet = await wrapped(world, "@bob", "1", 1)
    world.now += DAY_MS
    assert told(await world.do("bob", "pay.claim", "@alice", ref=packet)) == ended("expired", "expired")
    assert body_of(await world.expire(packet))["returned"] == {"amount": "1.00", "currency": "EUR"}
    assert await world.purse("alice") == (2_000, 0)


# --- amounts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("total", "currency", "count", "shares"), [
    ("10", "JPY", 3, ["4", "3", "3"]),
    ("3", "JPY", 3, ["1", "1", "1"]),
    ("0.010", "KWD", 3, ["0.004", "0.003", "0.003"]),
    ("0.0003", "CLF", 2, ["0.0002", "0.0001"]),
])  # fmt: skip
async def test_equal_shares_in_every_currency(
    world: MoneyWorld, group: str, total: str, currency: str, count: int, shares: list[str]
) -> None:
    await world.credit("alice", "100", currency)
    packet = await wrapped(world, group, total, count, currency=currency)
    claims = [await world.do(who, "pay.claim", group, ref=packet) for who in PEOPLE[:count]]
    assert [body_of(claim)["amount"] for claim in claims] == shares


async def test_any_packet_adds_up_and_can_be_checked(world: MoneyWorld, group: str) -> None:
    """Random totals, counts, modes and currencies: claims and what goes back are the total."""
    rng = seeded()
    for currency in EXPONENTS:
        await world.credit("alice", format_amount(10**8, currency), currency)
    for _ in range(60):
        currency, mode = rng.choice(list(EXPONENTS)), rng.choice(MODES)
        count = rng.randrange(1, 101)
        total = rng.randrange(count, rng.choice((count + 1, 1_000, 10**6)) + 1)
        made = await wrap(world, group, format_amount(total, currency), count, mode, currency=currency)
        packet, before = id_of(made), await world.purse("alice", currency)
        claimers = rng.sample(PEOPLE, rng.randrange(0, 5))
        claims = [await world.do(who, "pay.claim", group, ref=packet) for who in claimers]
        bodies = [body_of(each) for each in claims if said(each) == "stored"]
        assert len(bodies) == min(count, len(claimers))
        world.now += DAY_MS
        end = await world.expire(packet)
        ending = bodies[-1] if said(end) == "done" else body_of(end)
        parts = [body["amount"] for body in bodies]
        parts += [ending["returned"]["amount"]] if "returned" in ending else []
        units = [unit for unit in (parse_amount(part, currency) for part in parts) if isinstance(unit, int)]
        assert (len(units), sum(units)) == (len(parts), total)
        seed = bytes.fromhex(ending["seed"])
        assert is_fair(packet, total, count, mode, body_of(made)["proof"], seed)
        assert (await world.purse("alice", currency))[1] == before[1] - total
