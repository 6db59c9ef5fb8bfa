"""Texts, and that somebody is writing one."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType, field

from tuppence_protocol import limits
from tuppence_protocol.shapes import USER_PATTERN, Body, InPlace, Live, Nothing, Place, Text
from tuppence_protocol.views import Extensible, ServerFrame

from .kind import ALICE, Kind


class TextBody(Body, frozen=True):
    text: Text
    mentions: (
        Annotated[list[Annotated[str, Meta(pattern=USER_PATTERN)]], Meta(max_length=limits.MENTIONS_MAX)]
        | UnsetType
    ) = UNSET


class ChatText(InPlace, tag="chat.text", kw_only=True, frozen=True):
    """Say something."""

    body: TextBody


class TextPosted(Extensible, frozen=True):
    text: str
    mentions: list[str] | UnsetType = UNSET


class LiveTyping(Live, tag="live.typing", kw_only=True, frozen=True):
    """Tell the others that one is writing; holds for TYPING_MS."""

    conv: Place
    body: Nothing = Nothing()


class TypingBody(Extensible, frozen=True):
    pass


class TypingNotice(ServerFrame, tag="live.typing", frozen=True):
    """Somebody writes."""

    conv: str
    from_: str = field(name="from")
    body: TypingBody = TypingBody()


CHAT_TEXT: Final = Kind(
    "chat.text", ChatText, TextPosted,
    sent={"text": "Lunch is on me: 12:30?", "mentions": [ALICE]},
    told={"text": "Hallo 👋", "mentions": [ALICE]},
)  # fmt: skip
LIVE_TYPING: Final = Kind("live.typing", LiveTyping, notice=TypingNotice)
