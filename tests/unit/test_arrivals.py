"""The pace of hellos: of each address and of each person, whatever others do."""

from tuppence_server.edge.arrivals import OF_ADDRESS, OF_PERSON, Arrivals


def test_all_connections_of_an_address_may_come_back_at_once_and_then_in_turn() -> None:
    arrivals = Arrivals()
    burst = OF_ADDRESS.burst
    assert burst >= 200, "as many as an address may have"
    assert [arrivals.of_address("192.0.2.1", 50.0) for _ in range(burst)] == [0] * burst
    wait = arrivals.of_address("192.0.2.1", 50.0)
    assert wait > 0
    assert arrivals.of_address("192.0.2.1", 50.0) == wait, "asking in vain costs nothing"
    assert arrivals.of_address("192.0.2.2", 50.0) == 0, "another address has its own"
    assert arrivals.of_address("192.0.2.1", 50.0 + wait / 1_000) == 0


def test_a_person_has_one_pace_wherever_they_come_from() -> None:
    arrivals = Arrivals()
    taken = [arrivals.of_person("u_alice", 50.0) for _ in range(OF_PERSON.burst + 1)]
    assert [wait > 0 for wait in taken] == [False] * OF_PERSON.burst + [True]
    assert arrivals.of_person("u_bob", 50.0) == 0


def test_others_never_give_anybody_their_hellos_back() -> None:
    arrivals = Arrivals()
    for _ in range(OF_ADDRESS.burst):
        assert arrivals.of_address("192.0.2.1", 50.0) == 0
    for _ in range(OF_PERSON.burst):
        assert arrivals.of_person("u_alice", 50.0) == 0
    for number in range(20_000):
        arrivals.of_address(f"address {number}", 50.0)
        arrivals.of_person(f"u_{number}", 50.0)
    assert arrivals.of_address("192.0.2.1", 50.0) > 0
    assert arrivals.of_person("u_alice", 50.0) > 0
