"""A port that cannot be had is told in one line, and nothing stays bound."""

import socket

import pytest

from tuppence_server.serving.listening import CannotListen, bind


def told(host: str, port: int) -> str:
    """What is said of an address that cannot be listened on."""
    with pytest.raises(CannotListen) as fault:
        bind(host, port)
    assert "\n" not in str(fault.value)
    assert "Errno" not in str(fault.value)
    return str(fault.value)


def test_a_free_port_is_the_same_on_every_address_of_a_name() -> None:
    bound = bind("localhost", 0)
    try:
        assert len({each.getsockname()[1] for each in bound}) == 1
        assert bound[0].getsockname()[1] > 0
    finally:
        for each in bound:
            each.close()


def test_a_port_that_is_taken_is_told_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = told("127.0.0.1", port)
    assert f"127.0.0.1, port {port}: address already in use" in said
    assert "--port" in said
    for each in bind("127.0.0.1", port):
        each.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "nobody.invalid", "a" * 64])
def test_an_address_of_another_machine_is_told(host: str) -> None:
    assert host in told(host, 0)
