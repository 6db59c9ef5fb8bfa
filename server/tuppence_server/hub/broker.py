"""How commits and live frames reach the hubs of all nodes. One node: straight to its own hub."""

from typing import Protocol

from msgspec import Struct

from tuppence_server.pipeline.commits import Committed


class Whisper(Struct, frozen=True):
    """A fleeting frame for a conversation, from one of its people."""

    conv: str
    people: tuple[str, ...] | None
    author: str
    data: bytes


class Listener(Protocol):
    """What a hub does with what the broker brings."""

    def committed(self, commit: Committed) -> None: ...
    def whispered(self, whisper: Whisper) -> None: ...


class Broker(Protocol):
    """Carries commits, in order, and whispers, at most once, to every node's listener."""

    def listen(self, listener: Listener) -> None: ...
    def commit(self, commit: Committed) -> None: ...
    def whisper(self, whisper: Whisper) -> None: ...


class LocalBroker:
    """The broker of a single node: a function call."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Bring everything to this listener from now on."""
        self._listeners.append(listener)

    def commit(self, commit: Committed) -> None:
        """Tell of a commit."""
        for listener in self._listeners:
            listener.committed(commit)

    def whisper(self, whisper: Whisper) -> None:
        """Pass on a fleeting frame."""
        for listener in self._listeners:
            listener.whispered(whisper)
