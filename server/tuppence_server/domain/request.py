"""What is submitted to the road: a client's frame or the operator's command, and who it is from."""

from msgspec import Struct

from tuppence_protocol.shapes import Durable

from .commands import Command


class Request(Struct, frozen=True, gc=False):
    """A frame to decide on. `author` is a user id; `content` the canonical text that its id stands for."""

    frame: Durable | Command
    author: str
    content: bytes = b""
