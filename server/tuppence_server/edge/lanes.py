"""Where the frames of all connections go, and how fast each person may send them."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from websockets.typing import Origin

from tuppence_server.hub.hub import Hub
from tuppence_server.pipeline.inbox import Submit

from .admission import Admission
from .asks import AskLane
from .live import LiveLane
from .rate_limits import RateLimits


class Lanes(Struct, frozen=True):
    """What a WebSocket needs of its server, beside what it has in common with other connections."""

    hub: Hub
    submit: Submit
    admission: Admission
    asks: AskLane
    live: LiveLane
    limits: RateLimits
    origins: Sequence[Origin | None]
    clock_ms: Callable[[], int]
