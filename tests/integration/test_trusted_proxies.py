"""Behind a proxy people are counted and paced by the address that the proxy names, at every door alike."""

import asyncio

import pytest
from tests.support.server import serving
from tests.support.waiting import until

MOST = 3


pytestmark = pytest.mark.settings(
    RATE_LIMITS="on", TRUSTED_PROXIES="127.0.0.0/8, 10.0.0.0/8", CONNECTIONS_PER_ADDRESS=str(MOST)
)


async def socket(server, *named):
    raw = await server.raw()
    head = await raw.handshake(*(f"X-Forwarded-For: {text}" for text in named))
    return raw, int(head.split()[1])


async def half_a_request(server, named):
    """A request that the server waits for the end of."""
    raw = await server.raw()
    start = f"POST /v1/users HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {named}\r\nContent-Length: 9\r\n\r\n{{"
    await raw.send(start.encode())
    return raw


async def healthy(server, named):
    return (await server.http("GET", "/healthz", headers=[("x-forwarded-for", named)])).status


@pytest.mark.parametrize(
    ("same", "other"),
    [
        (
            ["192.0.2.7", "198.51.100.9, 192.0.2.7", "192.0.2.7:99, 10.0.0.3", "[::ffff:192.0.2.7]:1"],
            "192.0.2.8",
        ),
        (["2001:db8::1", "2001:db8:0:0:ff::2", "[2001:db8::3]:80", "::1, 2001:db8::4"], "2001:db8:0:1::1"),
    ],
)
async def test_sockets_and_requests_of_one_address_share_one_bound(server, same, other):
    opened = [await socket(server, named) for named in same]
    assert [status for _, status in opened] == [101] * MOST + [429]
    assert [await healthy(server, named) for named in same] == [429] * len(same)
    assert await healthy(server, other) == 200
    assert (await socket(server, other))[1] == 101
    await opened[0][0].drop()

    async def room_again():
        return await healthy(server, same[-1]) == 200

    await until(room_again)
    waiting = await half_a_request(server, same[0])

    async def taken():
        return await healthy(server, same[-1]) == 429

    await until(taken, "the request that is read counts as well")
    assert (await socket(server, same[1]))[1] == 429
    await waiting.drop()
    await until(room_again)


async def test_several_headers_are_one_list_and_forgeries_before_it_count_for_nothing(server):
    opened = [await socket(server, f"198.51.100.{number}", "192.0.2.7") for number in range(MOST + 1)]
    assert [status for _, status in opened] == [101] * MOST + [429]


async def test_logins_through_a_proxy_are_paced_by_household(server):
    login = {"handle": "alice", "password": "not hers at all"}

    async def knock(named):
        headers = [("x-forwarded-for", named)]
        return (await server.http("POST", "/v1/sessions", login, headers=headers)).status

    statuses = [await knock(f"2001:db8:5:6::{number:x}") for number in range(11)]
    assert statuses == [401] * 10 + [429]
    assert await knock("2001:db8:5:7::1") == 401


async def test_the_proxy_itself_is_not_counted(server):
    crowd = [await server.raw() for _ in range(4 * MOST)]
    assert (await server.http("GET", "/healthz")).status == 200
    assert all(status == 101 for _, status in [await socket(server) for _ in range(2 * MOST)])
    await asyncio.gather(*(raw.drop() for raw in crowd))


async def test_strangers_are_not_believed(tmp_path):
    async with serving(tmp_path, RATE_LIMITS="on", CONNECTIONS_PER_ADDRESS="3") as server:
        opened = [await socket(server, f"192.0.2.{number}") for number in range(MOST)]
        assert [status for _, status in opened] == [101] * MOST
        assert await healthy(server, "192.0.2.99") == 429
