"""What a kind is: one declaration, from which codec, schema, spec and every set of kinds are read."""

from typing import Any, Final

from msgspec import Struct

from tuppence_protocol.shapes import Acting, Frame, Lane
from tuppence_protocol.views import Extensible, ServerFrame

ALICE: Final = "u_3kq5abcdefghijklmnopqrstuv"
BOB: Final = "u_6zx4abcdefghijklmnopqrstuv"
CAROL: Final = "u_5cc2abcdefghijklmnopqrstuv"
EVENT: Final = "3f2b8c1e-94d7-4a06-8e21-fedcba987654"
QUOTE: Final = "0197a1c5-0c11-7d20-a4f3-8f90a1b2c3d4"
SEED: Final = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
MOMENT: Final = 1790000000123

Example = dict[str, Any]


class Kind(Struct, frozen=True):
    """One kind: the classes of what goes under its name, what holds of it, and an example of each body.

    Examples are as the wire has them: `sent` is a frame's body with every member, `bare` one with those that
    must be there, where the class does not tell; `told` is an event's body. `by_server` tells the meaning of
    an event that no frame makes. Events that `act` always name, by `ref`, the payment that they are about, as
    those of `Acting` frames do; a `listed` one is a payment of its own, a line of `ask.payments`. Where a
    `refusal_stays`, it is the outcome of its id for ever. What waits does so for `lasts_s` seconds where
    nobody says how long.
    """

    name: str
    frame: type[Frame] | None = None
    event: type[Extensible] | None = None
    result: type[Extensible] | None = None
    notice: type[ServerFrame] | None = None
    sent: Example = {}
    bare: Example | None = None
    told: Example = {}
    by_server: str | None = None
    acts: bool = False
    listed: bool = False
    refusal_stays: bool = False
    lasts_s: int | None = None

    @property
    def lane(self) -> Lane:
        """How its frame travels, or what the server sends under its name."""
        if self.frame is not None:
            return self.frame.lane
        if self.event is not None:
            return Lane.DURABLE
        return Lane.LIVE if self.name.startswith("live.") else Lane.SESSION

    @property
    def meaning(self) -> str:
        """What its event tells, in one line."""
        return " ".join(str(self.by_server or self.frame.__doc__).split())

    @property
    def is_acting(self) -> bool:
        """Whether its event always names, by `ref`, the payment that it acts on."""
        return self.acts or (self.frame is not None and issubclass(self.frame, Acting))
