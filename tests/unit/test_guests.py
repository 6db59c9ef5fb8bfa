"""The pace of those who are nobody yet: of each address, each person and each account, whatever others do."""

from types import SimpleNamespace

from tuppence_server.config.networks import Networks
from tuppence_server.edge.addresses import Addresses
from tuppence_server.edge.guests import ADMISSION, HELLO, HOUSEHOLD, LOGIN, REGISTRATION, STRANGER, Guests

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Clock:
    """Seconds, as a test sets them."""

    now = 50.0


def guests(clock: Clock | None = None, *, on: bool = True, most: int = 200) -> Guests:
    clock = clock or Clock()
    addresses = Addresses(most, Networks(["10.0.0.0/8"]))
    return Guests(SimpleNamespace(addresses=addresses, now=lambda: clock.now), on=on)  # type: ignore[arg-type]


def test_all_connections_of_an_address_may_come_back_at_once_and_then_in_turn() -> None:
    clock = Clock()
    door = guests(clock)
    assert HELLO.burst >= 200, "as many as an address may have"
    assert [door.says_hello(HERE) for _ in range(HELLO.burst)] == [0] * HELLO.burst
    wait = door.says_hello(HERE)
    assert wait > 0
    assert door.says_hello(HERE) == wait, "asking in vain costs nothing"
    assert door.says_hello(THERE) == 0, "another address has its own"
    clock.now += wait / 1_000
    assert door.says_hello(HERE) == 0


def test_a_person_has_one_pace_wherever_they_come_from() -> None:
    door = guests()
    taken = [door.is_admitted("u_alice") for _ in range(ADMISSION.burst + 1)]
    assert [wait > 0 for wait in taken] == [False] * ADMISSION.burst + [True]
    assert door.is_admitted("u_bob") == 0


def test_a_trusted_proxy_has_no_pace_of_its_own_and_nobody_has_where_limits_are_off() -> None:
    proxy, off = guests(), guests(on=False, most=0)
    assert not any(proxy.says_hello("10.1.2.3") for _ in range(2 * HELLO.burst))
    for act in (off.says_hello, off.is_admitted, off.registers, off.wasted, off.exhausted):
        assert not any(act(HERE) for _ in range(2 * HELLO.burst))
    assert not any(off.logs_in(HERE, "alice") for _ in range(2 * LOGIN.burst))


def test_a_household_tries_one_account_ten_times_and_all_together_thirty() -> None:
    door = guests()
    assert [door.logs_in(HERE, "alice") > 0 for _ in range(LOGIN.burst + 1)] == [False] * LOGIN.burst + [True]
    assert door.logs_in(THERE, "alice") == 0, "elsewhere it is another pace"
    left = HOUSEHOLD.burst - LOGIN.burst
    assert [door.logs_in(HERE, f"user {n}") > 0 for n in range(left + 1)] == [False] * left + [True]


def test_what_is_done_to_one_purpose_does_not_touch_another() -> None:
    door = guests()
    assert not any(door.wasted(HERE) for _ in range(STRANGER.burst))
    assert door.exhausted(HERE) > 0
    assert door.exhausted(THERE) == 0
    assert [door.registers(HERE) > 0 for _ in range(REGISTRATION.burst + 1)][-2:] == [False, True]
    assert door.logs_in(HERE, "alice") == 0
    assert door.says_hello(HERE) == 0
