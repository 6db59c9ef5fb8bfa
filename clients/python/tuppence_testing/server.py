"""A server in a process of its own, on a directory that goes with it."""

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, Final, Self

from tuppence_server.cli.admin_client import do
from tuppence_server.config.settings import ENV_PREFIX, Settings

START_S_MAX: Final = 60.0
_SETTINGS: Final = {"mode": "sandbox", "rate_limits": "off", "password_memory_kib": "8", "log_level": "error"}
"""Play money, no pace, quick logins; a test may set any of them otherwise."""


class Server:
    """`async with Server(mode="live") as server:`; what it logs goes to standard error."""

    def __init__(self, **settings: str) -> None:
        given = {ENV_PREFIX + name.upper(): value for name, value in {**_SETTINGS, **settings}.items()}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        self._environ = kept | given
        self._directory = tempfile.TemporaryDirectory(prefix="tuppence-testing-")
        self._settings = Settings(data=Path(self._directory.name) / "data")
        self._process: Process | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        """Start it and wait until it listens; RuntimeError where it does not."""
        command = ("-m", "tuppence_server", "serve", "--port", "0", "--json", "--data", self._settings.data)
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=PIPE, env=self._environ, cwd=self._directory.name
        )
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_S_MAX)
            if not line:
                raise RuntimeError("the server did not start; why not, it said on standard error")
            self.url = json.loads(line)["url"]
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill it; nothing of it is kept."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()
        self._directory.cleanup()

    def admin(self, action: str, **arguments: Any) -> Any:
        """Do what the operator can do, such as "wallet.credit", and wait until it is done."""
        return do(self._settings, action, **arguments)
