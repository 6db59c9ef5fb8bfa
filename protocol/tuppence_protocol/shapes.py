"""What frames are made of: the patterns and bounds of their members, and the base class of each lane."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from . import limits
from .money import AMOUNT_PATTERN, CURRENCY_PATTERN
from .names import NAME_PATTERN

USER_PATTERN: Final = r"^u_[a-z2-7]{26}$"
CONV_PATTERN: Final = r"^(c_[a-z2-7]{26}|@[a-z0-9_]{2,32}|self)$"
PERSON_PATTERN: Final = r"^(u_[a-z2-7]{26}|@[a-z0-9_]{2,32})$"
NAMED_PATTERN: Final = r"^(u_[a-z2-7]{26}|@?[a-z0-9_]{2,32})$"
HANDLE_PATTERN: Final = r"^[a-z0-9_]{2,32}$"
ID_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


class Lane(StrEnum):
    """How a frame travels: the road, the hub alone, the read side, or the session itself."""

    DURABLE = "durable"
    LIVE = "live"
    ASK = "ask"
    SESSION = "session"


def _pattern(pattern: str) -> dict[str, object]:
    return {"pattern": pattern}


# Ids, places and amounts have codes of their own when they are wrong, so the rules check the patterns;
# the types bound the length and tell the schema.
Id = Annotated[str, Meta(max_length=36, extra_json_schema=_pattern(ID_PATTERN))]
Place = Annotated[str, Meta(max_length=34, extra_json_schema=_pattern(CONV_PATTERN))]
Person = Annotated[str, Meta(max_length=34, extra_json_schema=_pattern(PERSON_PATTERN))]
Named = Annotated[str, Meta(max_length=34, extra_json_schema=_pattern(NAMED_PATTERN))]
Amount = Annotated[str, Meta(max_length=limits.AMOUNT_CHARS_MAX, extra_json_schema=_pattern(AMOUNT_PATTERN))]
Currency = Annotated[str, Meta(max_length=3, extra_json_schema=_pattern(CURRENCY_PATTERN))]
Text = Annotated[str, Meta(min_length=1, max_length=limits.TEXT_CHARS_MAX)]
Note = Annotated[str, Meta(min_length=1, max_length=limits.NOTE_CHARS_MAX)]
Title = Annotated[str, Meta(min_length=1, max_length=limits.TITLE_CHARS_MAX, pattern=NAME_PATTERN)]
Device = Annotated[str, Meta(min_length=1, max_length=limits.DEVICE_CHARS_MAX, pattern=NAME_PATTERN)]
Token = Annotated[str, Meta(min_length=1, max_length=limits.TOKEN_CHARS_MAX)]
Seq = Annotated[int, Meta(ge=0, le=limits.INTEGER_MAX)]
Pos = Annotated[int, Meta(ge=0, le=limits.INTEGER_MAX)]
People = Annotated[list[Person], Meta(max_length=limits.ROOM_INVITES_PER_FRAME_MAX)]
Limit = Annotated[int, Meta(ge=1, le=limits.PAGE_EVENTS_MAX)]
Moment = Annotated[int, Meta(ge=0, le=limits.INTEGER_MAX)]
Seconds = Annotated[int, Meta(ge=limits.EXPIRES_S_MIN, le=limits.EXPIRES_S_MAX)]
GivenRole = Literal["admin", "member", "reader", "owner"]


class Body(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The content of a frame that a client sends; closed."""


class Nothing(Body, frozen=True):
    """A body without members."""


class Frame(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What a client may send."""

    kind: ClassVar[str]
    lane: ClassVar[Lane]


class Durable(Frame, frozen=True):
    """A frame that becomes an event; `id` is its idempotency key for ever."""

    lane: ClassVar[Lane] = Lane.DURABLE
    id: Id


class InPlace(Durable, frozen=True):
    """A durable frame in a conversation; `ref` names the event that it is about."""

    conv: Place
    ref: Id | UnsetType = UNSET


class Acting(InPlace, kw_only=True, frozen=True):
    """A frame that acts on the payment whose event's id is `ref`, in the conversation where it is."""

    ref: Id


class Live(Frame, frozen=True):
    """A fleeting frame."""

    lane: ClassVar[Lane] = Lane.LIVE


class Ask(Frame, frozen=True):
    """A question to the read side; `id` comes back as `ref`."""

    lane: ClassVar[Lane] = Lane.ASK
    id: Id
