"""Many sockets that send at once, and what became of each frame."""

import asyncio

from tuppence_protocol.money import parse_amount

SOCKETS = 8


async def devices(server, account, number=SOCKETS):
    """Sockets of one person, of several logins."""
    logins = [account, *[await server.log_in(account.handle) for _ in range(3)]]
    return [await server.connect(logins[n % len(logins)], f"{account.handle}-{n}") for n in range(number)]


async def volley(*shots):
    """Send (client, frame) each, all sockets at once; the answers in the same order."""
    by_client = {}
    for client, frame in shots:
        by_client.setdefault(client, []).append(frame)

    async def fire(client, frames):
        for frame in frames:
            await client.send(frame)
        return {frame["id"]: await client.answer(frame["id"]) for frame in frames}

    found = {}
    for answers in await asyncio.gather(*(fire(client, frames) for client, frames in by_client.items())):
        found |= answers
    return [found[frame["id"]] for _, frame in shots]


async def at(client, moment):
    """Wait until the server's clock has come to a moment."""
    while True:
        await client.send({"kind": "ping"})
        if (await client.expect(kind="pong"))["body"]["now"] >= moment:
            return


def euros(amount, **body):
    """A payment in euros."""
    return {"amount": amount, "currency": "EUR"} | body


def winners(answers):
    """Those that became events."""
    return [answer for answer in answers if "seq" in answer]


def losses(answers):
    """Code and state of every refusal."""
    return [(each["body"]["code"], each["body"]["state"]) for each in answers if each["kind"] == "error"]


def minor(amount, currency="EUR"):
    units = parse_amount(amount, currency)
    assert isinstance(units, int), units
    return units


def code_of(answer):
    """The code of a refusal, or the kind of an event."""
    return answer["body"]["code"] if answer["kind"] == "error" else answer["kind"]
