"""Where a login's token comes from: given once, or made anew by the program's own function when one has run
out."""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Final

from .backoff import Pace
from .errors import TOKEN_EXPIRED, ConnectionEnded, TuppenceError

Renew = Callable[[], str | Awaitable[str]]
"""Gives a token whenever one is needed. An ordinary function is called in a thread, so it may wait."""
Token = str | Renew
NO_TOKEN: Final = "no_token"  # noqa: S105 - a code
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
"""What looks like a variable's name is told where it is missing; anything else may be somebody's secret."""


class Tokens:
    """The token of one client. What the function raises ends the connection, but for refusals that may
    pass."""

    def __init__(self, token: Token, pace: Pace) -> None:
        self._renew = None if isinstance(token, str) else token
        self._pace = pace
        self.current = token if isinstance(token, str) else ""

    @property
    def renewable(self) -> bool:
        """True where another token can be had."""
        return self._renew is not None

    async def renew(self) -> ConnectionEnded | None:
        """Get another token; None where that went well, else why not, final or not."""
        assert self._renew is not None
        try:
            async with asyncio.timeout(self._pace.token_s):
                found = await asyncio.to_thread(self._renew)
                token = await found if inspect.isawaitable(found) else found
        except TuppenceError as error:
            return _ended(error.code, f"no token: {error.message}", error, final=error.final)
        except TimeoutError as error:
            return _ended(NO_TOKEN, f"no token within {self._pace.token_s:g} s", error, final=False)
        except Exception as error:  # noqa: BLE001 - the program's own function may raise anything
            return _ended(
                NO_TOKEN, f"the function that makes tokens raised {_named(error)}", error, final=True
            )
        if not isinstance(token, str) or token in {"", self.current}:
            reason = "the function that makes tokens gave none, or the one that has run out"
            return _ended(NO_TOKEN, reason, None, final=True)
        self.current = token
        return None


def _named(error: Exception) -> str:
    """The kind of an exception, and the variable that is missing."""
    kind = type(error).__name__
    if isinstance(error, KeyError) and error.args and _VARIABLE.fullmatch(str(error.args[0])):
        return f"{kind}: {error.args[0]}"
    return kind


def _ended(code: str, reason: str, cause: Exception | None, *, final: bool) -> ConnectionEnded:
    ended = ConnectionEnded(TOKEN_EXPIRED if final else 1006, reason, refused=code)
    ended.__cause__ = cause
    return ended
