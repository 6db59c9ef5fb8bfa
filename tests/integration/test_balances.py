"""A balance on screen is the ledger's as soon as nothing moves: whoever joins, falls behind or comes back
meanwhile."""

import asyncio

from tests.support.waiting import seeded, until

ROUNDS, PEOPLE = 40, 4


def shown(client):
    """What somebody sees who believes `ready` and then the latest notice."""
    balances = {each["currency"]: each for each in client.ready["balances"]}
    for notice in client.seen(kind="live.balance"):
        known = balances.get(notice["body"]["currency"])
        assert known is None or notice["body"]["pos"] >= known["pos"], "a balance never goes back"
        balances[notice["body"]["currency"]] = notice["body"]
    return {currency: (each["available"], each["held"]) for currency, each in balances.items()}


async def owned(client):
    """What the ledger says."""
    balances = (await client.submit("ask.wallet"))["body"]["balances"]
    return {each["currency"]: (each["available"], each["held"]) for each in balances}


async def test_whoever_joins_while_money_moves_sees_what_they_have(server):
    """Connections are opened and resumed beside payments, which stop at some moment of the joining."""
    random = seeded()
    alice, bob = await server.people("alice", "bob", credit="1000.00")
    payer = await server.connect(bob)
    await payer.pay("@alice", "0.01")
    cursor = {"epoch": payer.ready["epoch"], "pos": payer.events[-1]["pos"]}

    async def pay(count):
        for _ in range(count):
            await asyncio.sleep(0)
            await payer.pay("@alice", "0.01")

    for _ in range(ROUNDS):
        paying = asyncio.create_task(pay(random.randrange(1, 4)))
        for _ in range(random.randrange(3)):
            await asyncio.sleep(0)
        joined = await asyncio.gather(
            *(server.connect(alice, **({"cursor": cursor} if n % 2 else {})) for n in range(PEOPLE))
        )
        await paying
        await payer.settle()
        for client in joined:
            wanted = await owned(client)
            await client.settle()
            assert shown(client) == wanted
            await client.close()


async def test_a_reader_that_falls_behind_sees_the_last_balance_when_it_reads_again(server):
    alice, bob = await server.people("alice", "bob", credit="1000.00")
    payer = await server.connect(bob)
    await payer.pay("@alice", "0.01")
    behind = await server.raw_socket(alice, receive_buffer=4096)
    behind.writer.transport.pause_reading()

    async def is_behind():
        await payer.text("@alice", "€" * 2_000)
        return await server.metric("outbox_bytes") > 0

    await until(is_behind, "the socket takes no more")
    payments = [await payer.pay("@alice", "1.00") for _ in range(3)]
    assert await server.metric("outbox_bytes") > 0, "still behind"
    behind.writer.transport.resume_reading()
    notice = await latest(behind, payments[-1]["pos"])
    assert notice == {"currency": "EUR", "available": "1003.01", "held": "0.00", "pos": payments[-1]["pos"]}
    more = await payer.pay("@alice", "1.00")
    assert (await latest(behind, more["pos"]))["available"] == "1004.01"


async def latest(raw, pos):
    """The first balance that is as of `pos`."""
    while not ((frame := await raw.json())["kind"] == "live.balance" and frame["body"]["pos"] >= pos):
        pass
    return frame["body"]
