"""What a connection that only listens holds of its own: its session and its engine,
and no queue for what may come."""

import gc
from types import SimpleNamespace

from websockets.server import ServerProtocol

from tuppence_protocol.session import ServerSession
from tuppence_server.edge.connection import Socket


def test_idle_connections_share_all_but_their_session_and_engine() -> None:
    acceptor = SimpleNamespace(now=lambda: 0.0)
    lanes = SimpleNamespace(hub=SimpleNamespace(touched=[]), origins=())
    one, other = (Socket(acceptor, lanes) for _ in "12")  # type: ignore[arg-type]
    shared = {id(each) for each in gc.get_referents(other)}
    own = [each for each in gc.get_referents(one) if gc.is_tracked(each) and id(each) not in shared]
    assert {type(each) for each in own} == {ServerSession, ServerProtocol}
