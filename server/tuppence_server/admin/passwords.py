"""Password hashes: argon2id in a bounded pool of threads of its own, never on the event loop.

Networks take turns: one that sends many waits behind itself, and where all places are taken, the network with
the most of them loses its last to a newcomer.
"""

import asyncio
import secrets
from bisect import bisect_right
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from itertools import accumulate
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from .credentials import forms, opaque

WAITING_MAX: Final = 64
"""Checks that may wait; beyond that the answer is `busy`, so that a flood of logins cannot pile up."""
WAITING_PER_NETWORK_MAX: Final = 8


class TooManyChecks(Exception):
    """More password checks wait than may."""


class Passwords:
    """Hashes and checks passwords. `memory_kib` is argon2's memory cost (OWASP: 19456 or more)."""

    def __init__(self, workers: int, memory_kib: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="password")
        self._hasher = PasswordHasher(time_cost=3, memory_cost=memory_kib, parallelism=1)
        self._turns = Turns(workers)
        self._own = f"$argon2id$v={ARGON2_VERSION}$m={memory_kib},t=3,p=1"
        self._kinds: Counter[str] = Counter()
        self._key = secrets.token_bytes(32)

    def learn(self, kinds: Mapping[str, int]) -> None:
        """Take in how many passwords are hashed how, so that for a handle that nobody has it takes as
        long."""
        self._kinds.update(kinds)

    def outdated(self, kept: str) -> bool:
        """True where a password is hashed otherwise than the settings say now."""
        try:
            return self._hasher.check_needs_rehash(kept)
        except InvalidHashError:
            return False

    def _decoy(self, name: str) -> str:
        """A hash that no password has, of a kind that somebody's has; for one name always of the same
        kind."""
        if not self._kinds:
            return self._like(self._own)
        digest = blake2b(name.encode(errors="replace"), key=self._key).digest()
        drawn = int.from_bytes(digest) % self._kinds.total()
        kinds = sorted(self._kinds)
        upto = list(accumulate(self._kinds[kind] for kind in kinds))
        return self._like(kinds[bisect_right(upto, drawn)])

    def _like(self, kind: str) -> str:
        return f"{kind}${'A' * 22}${'A' * 43}"

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str, source: str = "") -> str:
        """The hash to keep; `source` is the network that asks, empty for the operator.

        Raises:
            TooManyChecks: try again later.
        """
        return str(await self._run(source, self._hasher.hash, opaque(password)))

    async def check(self, kept: str | None, password: str, source: str = "", name: str = "") -> bool:
        """True where the password is right; takes as long where there is nobody of that name to check it for.

        Raises:
            TooManyChecks: try again later.
        """
        if kept is None:
            await self._run(source, self._verify, self._decoy(name), password)
            return False
        return bool(await self._run(source, self._verify, kept, password))

    def _verify(self, kept: str, password: str) -> bool:
        return any(self._fits(kept, form) for form in forms(password))

    def _fits(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False

    async def _run(self, source: str, work: object, *arguments: str) -> object:
        await self._turns.wait(source)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, work, *arguments)  # type: ignore[arg-type]
        finally:
            self._turns.done()


class Turns:
    """Who is checked next: so many at once, and the networks that wait one after the other."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def wait(self, source: str) -> None:
        """Wait for a turn; `done` must follow. The operator, who has no network, may take every place.

        Raises:
            TooManyChecks: there is no place to wait, or it went to somebody who had fewer.
        """
        if self._free:
            self._free -= 1
            return
        own = self._waiting.get(source, ())
        if source and len(own) >= WAITING_PER_NETWORK_MAX:
            raise TooManyChecks
        if sum(map(len, self._waiting.values())) >= WAITING_MAX:
            self._displace(len(own))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(source, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(source, turn)
            raise

    def done(self) -> None:
        """A check is over: the next network's first is taken, and its others wait behind everybody else."""
        while self._waiting:
            source, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[source] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _displace(self, had: int) -> None:
        source = max(self._waiting, key=lambda each: len(self._waiting[each]))
        turns = self._waiting[source]
        if len(turns) <= had + 1:
            raise TooManyChecks
        turns.pop().set_exception(TooManyChecks())

    def _leave(self, source: str, turn: asyncio.Future[None]) -> None:
        """Whoever waited has gone: the place is free, and a turn that was given already goes to the next."""
        turns = self._waiting.get(source, deque())
        if turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[source]
        elif not turn.cancelled() and turn.exception() is None:
            self.done()
