"""Password hashes: argon2id in a bounded pool of threads of its own, never on the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

WAITING_MAX: Final = 32
"""Checks that may wait; beyond that the answer is `busy`, so that a flood of logins cannot pile up."""


class TooManyChecks(Exception):
    """More password checks wait than may."""


class Passwords:
    """Hashes and checks passwords. `memory_kib` is argon2's memory cost (OWASP: 19456 or more)."""

    def __init__(self, workers: int, memory_kib: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="password")
        self._hasher = PasswordHasher(time_cost=3, memory_cost=memory_kib, parallelism=1)
        self._waiting = 0
        self._decoy: str | None = None

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The hash to keep.

        Raises:
            TooManyChecks: try again later.
        """
        return str(await self._run(self._hasher.hash, password))

    async def check(self, kept: str | None, password: str) -> bool:
        """True where the password is right; takes as long where there is nobody to check it for.

        Raises:
            TooManyChecks: try again later.
        """
        if kept is None:
            if self._decoy is None:
                self._decoy = await self.hash("nobody's password")
            await self._run(self._verify, self._decoy, password)
            return False
        return bool(await self._run(self._verify, kept, password))

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: object, *arguments: str) -> object:
        if self._waiting >= WAITING_MAX:
            raise TooManyChecks
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)  # type: ignore[arg-type]
        finally:
            self._waiting -= 1
