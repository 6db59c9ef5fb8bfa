"""Plays whole session transcripts against any server: what one sends, and what must come back.

A transcript is a JSONL file. Its first line names the people and what they own: `{"name": …, "people":
{"alice": ["100.00 EUR"], "bob": []}}`. Where the server must be set up in a certain way, it has `settings`
too, named and written as in docs/operating.md: `fees`, `limits`, `exchange_rates`,
`exchange_spread_percent`, `exchange_quote_s`, `mode`. What is not named is as by default: a sandbox without
fees, limits or rates, with CHF, CNY, EUR, GBP, JPY and USD. Every other line is one step:

- `{"who": "alice", "frame": {…}}` sends on alice's connection, which is opened at first use; `alice#2` is a
  second connection of alice. `raw` in place of `frame` sends that text, `raw_hex` those bytes as binary.
- `{"who": "server->alice", "frame": {…}}` is what alice receives next. Members that are not named are free.
  Live frames travel in a lane of their own: those not named are passed over, and never stand in the way.
- `{"who": "server->alice", "close": 4501}`: the server closes with that code, with or without a bye that is
  not named. Codes may be a list.
- `{"who": "alice", "drop": true}`: alice's connection breaks; the next use opens a new one.

No step waits for a clock. What the server says by itself, such as `pay.expire` from `server`, is received
like anything else: within 10 s. A time that nobody is told of is waited out beside an offer that expires
after it.

Placeholders stand in strings. `$token_NAME`, `$u_NAME` and `$h_NAME` are the token, id and handle of a
person; `$id…` is an id, made at first use. Any other name takes the value that it first meets and must meet
the same from then on. `$any` meets everything, `$absent` means that the member is not there, or null. An
array meets an array of the same length; one that starts with `$some` meets one that contains the rest, in
any order.
"""

import asyncio
import json
import re
import secrets
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

Step = dict[str, Any]

RECEIVE_S_MAX: Final = 10.0
_ABSENT: Final = object()
_GIVEN: Final = ("u_", "h_", "token_")
_names: Final = re.compile(r"\$([a-z][a-z_0-9]*)")


@dataclass(frozen=True)
class Person:
    """A registered user who is logged in and owns what the transcript says."""

    user: str
    handle: str
    token: str


class PeerClosed(Exception):
    """The server closed the connection."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Peer(Protocol):
    """One connection to a server. `receive` raises `PeerClosed` at its end."""

    async def send(self, message: str | bytes) -> None: ...
    async def receive(self) -> str: ...
    async def drop(self) -> None: ...


class WebSocketPeer:
    """A peer over a real connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, message: str | bytes) -> None:
        await self._connection.send(message)

    async def receive(self) -> str:
        try:
            return str(await self._connection.recv())
        except ConnectionClosed as end:
            raise PeerClosed(end.rcvd.code if end.rcvd else 1006) from end

    async def drop(self) -> None:
        await self._connection.close()


class World(Protocol):
    """A server under test."""

    async def person(self, name: str, owns: list[str]) -> Person: ...
    async def connect(self) -> Peer: ...


class Mismatch(AssertionError):
    """What came is not what the transcript says."""


def load(path: Path) -> tuple[Step, list[Step]]:
    """The head and the steps of a transcript."""
    head, *steps = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line)
    return head, steps


async def play(world: World, path: Path) -> None:
    """Play a transcript from its first line to its last.

    Raises:
        Mismatch: where something else came, or nothing.
    """
    head, steps = load(path)
    stage = _Stage(world)
    for name, owns in head["people"].items():
        person = await world.person(name, owns)
        stage.bound |= {f"u_{name}": person.user, f"h_{name}": person.handle, f"token_{name}": person.token}
    try:
        for number, step in enumerate(steps, start=2):
            try:
                await stage.act(step)
            except (Mismatch, PeerClosed, TimeoutError, KeyError) as fault:
                raise Mismatch(f"{path.name}:{number}: {json.dumps(step)}: {fault!r}") from fault
    finally:
        await stage.end()


def names_in(steps: list[Step]) -> set[str]:
    """The names that placeholders have."""
    return set(_names.findall(json.dumps(steps)))


def fill(value: Any, bound: dict[str, Any]) -> Any:
    """The value with its placeholders filled; ids are made at first use.

    Raises:
        KeyError: for a name that nothing was bound to.
    """
    if isinstance(value, list):
        return [fill(item, bound) for item in value]
    if isinstance(value, dict):
        return {name: fill(member, bound) for name, member in value.items()}
    if not isinstance(value, str):
        return value
    for name in _names.findall(value):
        if name.startswith("id") and name not in bound:
            bound[name] = new_id()
    whole = _names.fullmatch(value)
    return bound[whole[1]] if whole else _names.sub(lambda found: str(bound[found[1]]), value)


def match(expected: Any, got: Any, bound: dict[str, Any], path: str = "$") -> None:
    """Compare, and bind the names that are new.

    Raises:
        Mismatch: at the first difference; nothing of a failed comparison is bound.
    """
    trial = dict(bound)
    _match(expected, got, trial, path)
    bound |= trial


def _match(expected: Any, got: Any, bound: dict[str, Any], path: str) -> None:
    if isinstance(expected, dict):
        _match_object(expected, got, bound, path)
    elif isinstance(expected, list):
        _match_array(expected, got, bound, path)
    elif isinstance(expected, str):
        _match_string(expected, got, bound, path)
    elif type(expected) is not type(got) or expected != got:
        raise Mismatch(f"{path}: {got!r} instead of {expected!r}")


def _match_object(expected: Mapping[str, Any], got: Any, bound: dict[str, Any], path: str) -> None:
    if not isinstance(got, dict):
        raise Mismatch(f"{path}: {got!r} instead of an object")
    for name, member in expected.items():
        found = got.get(name, _ABSENT)
        if member == "$absent":
            if found is not _ABSENT and found is not None:
                raise Mismatch(f"{path}.{name}: {found!r} instead of nothing")
        elif found is _ABSENT:
            raise Mismatch(f"{path}.{name}: nothing instead of {member!r}")
        else:
            _match(member, found, bound, f"{path}.{name}")


def _match_array(expected: list[Any], got: Any, bound: dict[str, Any], path: str) -> None:
    if not isinstance(got, list):
        raise Mismatch(f"{path}: {got!r} instead of an array")
    if expected[:1] == ["$some"]:
        for item in expected[1:]:
            if not any(_fits(item, candidate, bound, path) for candidate in got):
                raise Mismatch(f"{path}: {item!r} is not in {got!r}")
        return
    if len(expected) != len(got):
        raise Mismatch(f"{path}: {len(got)} items instead of {len(expected)}")
    for index, (item, candidate) in enumerate(zip(expected, got, strict=True)):
        _match(item, candidate, bound, f"{path}[{index}]")


def _fits(expected: Any, got: Any, bound: dict[str, Any], path: str) -> bool:
    try:
        match(expected, got, bound, path)
    except Mismatch:
        return False
    return True


def _match_string(expected: str, got: Any, bound: dict[str, Any], path: str) -> None:
    if expected == "$any":
        return
    whole = _names.fullmatch(expected)
    if whole and whole[1] not in bound and not whole[1].startswith(_GIVEN):
        bound[whole[1]] = got
        return
    wanted = fill(expected, bound)
    if type(wanted) is not type(got) or wanted != got:
        raise Mismatch(f"{path}: {got!r} instead of {wanted!r}")


def new_id() -> str:
    """A UUID of version 7."""
    octets = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + secrets.token_bytes(10))
    octets[6] = octets[6] & 0x0F | 0x70
    octets[8] = octets[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(octets)))


@dataclass
class _Line:
    """One connection, what came over it sorted into lanes."""

    peer: Peer
    ordered: deque[Step] = field(default_factory=deque)
    live: deque[Step] = field(default_factory=deque)

    async def next(self, kind: str) -> Step:
        """The next frame of the ordered lanes, or the next live frame of that kind."""
        if not kind.startswith("live."):
            while not self.ordered:
                await self.hear()
            return self.ordered.popleft()
        while True:
            while self.live:
                if (frame := self.live.popleft())["kind"] == kind:
                    return frame
            await self.hear()

    async def hear(self) -> None:
        """Take in one message."""
        frame = json.loads(await asyncio.wait_for(self.peer.receive(), RECEIVE_S_MAX))
        (self.live if frame["kind"].startswith("live.") else self.ordered).append(frame)


class _Stage:
    """Who is connected, and what the names stand for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bound: dict[str, Any] = {}
        self.lines: dict[str, _Line] = {}

    async def act(self, step: Step) -> None:
        who = step["who"]
        if who.startswith("server->"):
            await self._expect(await self._line(who.removeprefix("server->")), step)
        elif "drop" in step:
            await self.lines.pop(who).peer.drop()
        else:
            await (await self._line(who)).peer.send(self._message(step))

    async def end(self) -> None:
        for line in self.lines.values():
            await line.peer.drop()

    async def _line(self, who: str) -> _Line:
        if who not in self.lines:
            self.lines[who] = _Line(await self.world.connect())
        return self.lines[who]

    def _message(self, step: Step) -> str | bytes:
        if "raw_hex" in step:
            return bytes.fromhex(step["raw_hex"])
        if "raw" in step:
            return str(fill(step["raw"], self.bound))
        return json.dumps(fill(step["frame"], self.bound))

    async def _expect(self, line: _Line, step: Step) -> None:
        if "close" in step:
            await self._expect_close(line, step["close"])
        elif step["frame"]["kind"].startswith("live."):
            while not _fits(step["frame"], await line.next(step["frame"]["kind"]), self.bound, "$"):
                pass
        else:
            match(step["frame"], await line.next(step["frame"]["kind"]), self.bound)

    async def _expect_close(self, line: _Line, close: int | list[int]) -> None:
        codes = close if isinstance(close, list) else [close]
        try:
            while not line.ordered or line.ordered[0]["kind"] == "bye":
                line.ordered.clear()
                await line.hear()
        except PeerClosed as end:
            if end.code not in codes:
                raise Mismatch(f"closed with {end.code} instead of {codes}") from end
            return
        raise Mismatch(f"{line.ordered[0]!r} instead of the end")
