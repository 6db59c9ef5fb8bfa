"""Who a token is: judged in one place and in one order, for sockets and HTTP."""

from collections.abc import Callable
from hmac import compare_digest
from typing import Literal

from msgspec import Struct

from tuppence_server.ids import token_hash
from tuppence_server.store.contract import Identity, SessionReads

Denied = Literal["bad_token", "token_expired", "account_disabled"]
"""Why a token lets nobody in: what is wrong with it comes before what is wrong with the person."""


class Auth(Struct):
    """Judges tokens by commit time; the operator's is the one in `admin.json`."""

    store: SessionReads
    clock_ms: Callable[[], int]
    admin_token: str

    async def judge(self, token: str) -> Identity | Denied:
        """The session and the person that a token stands for, or why it stands for nobody."""
        identity = await self.store.identify(token_hash(token))
        if identity is None or identity.session.revoked_at is not None:
            return "bad_token"
        if identity.session.expires_at <= self.clock_ms():
            return "token_expired"
        return "account_disabled" if identity.user.disabled else identity

    def is_operator(self, token: str) -> bool:
        """True for the operator's token, in the same time whatever is wrong with another."""
        return compare_digest(token.encode(), self.admin_token.encode())
