"""What an object that a server sends is made of. A later server may add members, and words where they are open."""

from typing import Annotated, Final

from msgspec import Meta, Struct


def _examples(*words: str) -> Meta:
    return Meta(extra_json_schema={"examples": list(words)})


# Words that a later server may add to: a client must live with one that it does not know.
Role = Annotated[str, _examples("owner", "admin", "member", "reader")]
State = Annotated[
    str,
    _examples(
        "completed", "pending", "open", "paid", "declined", "cancelled", "expired", "waived", "settled",
        "emptied", "partly_refunded", "refunded",
    ),
]  # fmt: skip
FeeOn = Annotated[str, _examples("payer", "payee")]
Mode = Annotated[str, _examples("sandbox", "live")]
ConversationKind = Annotated[str, _examples("dm", "group", "self")]
Why = Annotated[str, _examples("first", "epoch", "too_far")]
SERVER_AUTHOR: Final = "server"
"""The `from` of an event that no user wrote."""


class Extensible(Struct, frozen=True, gc=False):
    """An object that a server sends."""
