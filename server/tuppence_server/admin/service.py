"""What the operator can do, by the same road as everybody: in the running server,
or in process when it is down."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace

from tuppence_protocol.codec import is_id
from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from tuppence_server import ids
from tuppence_server.audit.running import Audits
from tuppence_server.domain.commands import (
    Command,
    CreateUser,
    Deposit,
    DisableUser,
    OpenSession,
    Reverse,
    RevokeSession,
    SetFlags,
    SetPassword,
    SetTier,
    Withdraw,
)
from tuppence_server.domain.effects import Outcome, Stored
from tuppence_server.domain.request import Request
from tuppence_server.domain.rows import CLOSED, FROZEN_IN, FROZEN_OUT, OPERATOR, User
from tuppence_server.pipeline.pipeline import Pipeline
from tuppence_server.reports.books import books
from tuppence_server.store.contract import AdminReads

from . import arguments as shapes
from .backup import make_backup
from .credentials import can_be_typed, handle_meant, opaque
from .importing import import_rows
from .operator_log import log_action
from .passwords import Passwords, TooManyChecks
from .people_file import Row
from .registry import NOBODY, Registry, balances

DAY_MS: Final = 86_400_000
log = structlog.get_logger("tuppence.operator")
WEAK: Final = Refusal(
    "bad_frame",
    f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters.",
    "$.password",
)
UNSEEN: Final = Refusal(
    "bad_frame",
    "A password has no control characters and none that cannot be seen, "
    "such as a line break or a byte order mark.",
    "$.password",
)
OVERLOADED: Final = Refusal("busy", "Too many logins at once; try again.", retry_ms=2_000)
BAD_ID: Final = Refusal("bad_id", "An id is a lower-case UUID of version 4 or 7.", "$.id")
AT_REST: Final = Refusal("forbidden", "This checks the ledger of a running server.", "$.do")


class Refused(Exception):
    """A command of the operator was refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class AdminService:
    """Users, logins, credits and copies. Every method answers plain JSON values or raises `Refused`.

    `do` takes handles as they are written; the methods, without @.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        store: AdminReads,
        passwords: Passwords,
        session_days: int,
        clock_ms: Callable[[], int],
        audits: Audits | None = None,
    ) -> None:
        self._audits = audits
        self._pipeline = pipeline
        self._store = store
        self._passwords = passwords
        self._session_ms = session_days * DAY_MS
        self._clock_ms = clock_ms
        self._registry = Registry(store, clock_ms)
        self._actions: dict[str, tuple[type[shapes.Arguments], Callable[..., Awaitable[Any]]]] = {
            "user.add": (shapes.NewUser, self.add_user),
            "user.list": (shapes.Search, self.list_users),
            "user.show": (shapes.Whose, self.show_user),
            "payment.show": (shapes.Named, self.show_payment),
            "user.passwd": (shapes.NewPassword, self.set_password),
            "user.disable": (shapes.Shut, self.disable_user),
            "session.open": (shapes.NewSession, self.open_session),
            "wallet.credit": (shapes.Credit, self.credit),
            "wallet.debit": (shapes.Debit, self.debit),
            "payment.reverse": (shapes.Reversal, self.reverse),
            "people.import": (shapes.Import, self.import_people),
            "wallet.show": (shapes.Whose, self.wallet),
            "books": (shapes.Period, self.books),
            "wallet.freeze": (shapes.Freeze, self.freeze),
            "wallet.close": (shapes.Shutter, self.close_wallet),
            "user.tier": (shapes.NewTier, self.set_tier),
            "backup": (shapes.Where, self.backup),
            "ledger.verify": (shapes.Arguments, self.verify),
            "ledger.progress": (shapes.Arguments, self.verified),
        }

    async def do(self, action: str, arguments: dict[str, Any]) -> Any:
        """Carry out an action by name (the administration endpoint and the command line)."""
        found = self._actions.get(action)
        if found is None:
            raise Refused(Refusal("unknown_kind", f"There is no action {action!r}.", "$.do"))
        shape, work = found
        try:
            given = msgspec.convert(arguments, shape)
        except msgspec.ValidationError as fault:
            raise Refused(Refusal("bad_frame", f"{action}: {fault}", "$.arguments")) from None
        if hasattr(given, "handle"):
            given.handle = handle_meant(given.handle)
        try:
            done = await work(**msgspec.structs.asdict(given))
        except Refused as refused:
            log.info("operator_refused", do=action, code=refused.refusal.code)
            raise
        await log_action(self._store, action, given, done)
        return done

    # Users

    async def add_user(
        self, handle: str, name: str = "", password: str | None = None, source: str = ""
    ) -> dict[str, Any]:
        """Register a person; without a password only the operator can log them in.

        `source` is the network that asks; empty for the operator.
        """
        kept = None if password is None else await self._hash(password, source)
        command = CreateUser(ids.user_id(), ids.conversation_id(), handle, name, kept)
        await self._submit(command)
        return {"id": command.user, "handle": handle, "name": name}

    async def import_people(self, rows: list[Row]) -> dict[str, Any]:
        """Add and credit up to ROWS_PER_CALL_MAX people; what is there already stays as it is."""
        return await import_rows(self._store, self._outcome, self._hashed, rows)

    async def list_users(self, **wanted: Any) -> list[dict[str, Any]]:
        """Those who are wanted, by handle."""
        return await self._registry.people(**wanted)

    async def show_user(self, handle: str) -> dict[str, Any]:
        """A person with all there is to know of them."""
        return _found(await self._registry.person(handle))

    async def show_payment(self, payment: str) -> dict[str, Any]:
        """A payment as it stands."""
        return _found(await self._registry.payment(payment))

    async def set_password(self, handle: str, password: str) -> dict[str, Any]:
        """Give a person another password; all their logins end."""
        await self._submit(SetPassword(handle, await self._hash(password)))
        return {"handle": handle}

    async def disable_user(self, handle: str, disabled: bool = True) -> dict[str, Any]:
        """Shut a person out, or let them in again."""
        await self._submit(DisableUser(handle, disabled))
        return {"handle": handle, "disabled": disabled}

    # Logins

    async def log_in(self, handle: str, password: str, device: str, source: str = "") -> dict[str, Any]:
        """Check a password and open a session; `source` is the network that asks."""
        user = await self._right(handle, password, source)
        try:
            return await self._open(user, device, await self._renewed(user, password, source))
        except Refused as refused:
            if refused.refusal.code != "bad_credentials":
                raise
        user = await self._right(handle, password, source)  # it was hashed anew, or changed, meanwhile
        return await self._open(user, device)

    async def _right(self, handle: str, password: str, source: str) -> User:
        """The person whose password this is; takes as long where there is none."""
        user = await self._store.user(handle)
        try:
            right = await self._passwords.check(user.password if user else None, password, source, handle)
        except TooManyChecks:
            raise Refused(OVERLOADED) from None
        if user is None or not right:
            raise Refused(Refusal("bad_credentials", "Handle and password do not match."))
        return user

    async def _renewed(self, user: User, password: str, source: str) -> str | None:
        """The password hashed as the settings say now, where it is not;
        for the next login where many wait."""
        if user.password is None or not self._passwords.outdated(user.password):
            return None
        try:
            return await self._passwords.hash(password, source)
        except TooManyChecks:
            return None

    async def open_session(self, handle: str, device: str = "operator") -> dict[str, Any]:
        """Log a person in without a password, for the operator."""
        return await self._open(await self._user(handle), device)

    async def _open(self, user: User, device: str, renewed: str | None = None) -> dict[str, Any]:
        token = ids.token()
        expires_at = self._clock_ms() + self._session_ms
        command = OpenSession(
            ids.session_id(), user.id, ids.token_hash(token), device, expires_at, user.password, renewed
        )
        await self._submit(command)
        log.info("login", user=user.id, session=command.session)
        view = {"id": user.id, "handle": user.handle, "name": user.name}
        return {"token": token, "session": command.session, "user": view, "expires_at": expires_at}

    async def close_session(self, user: str, session: str) -> None:
        """Log a device out."""
        await self._submit(RevokeSession(session, user))

    # Money

    async def credit(
        self,
        handle: str,
        amount: str,
        currency: str,
        note: str | None = None,
        id: str | None = None,  # noqa: A002
    ) -> dict[str, Any]:
        """Credit a person with money that the operator took in; the same id again changes nothing."""
        command = Deposit(_key(id), handle, amount, currency, note)
        return {"handle": handle, **await self._moved(command.id, command)}

    async def debit(
        self,
        handle: str,
        amount: str,
        currency: str,
        reason: str,
        note: str | None = None,
        force: bool = False,
        id: str | None = None,  # noqa: A002
    ) -> dict[str, Any]:
        """Take money out of a balance; what is not there the operator bears, with `force`,
        or it is refused."""
        command = Withdraw(_key(id), handle, amount, currency, reason, note, force)
        return {"handle": handle, **await self._moved(command.id, command)}

    async def reverse(
        self,
        payment: str,
        reason: str,
        note: str | None = None,
        force: bool = False,
        id: str | None = None,  # noqa: A002
    ) -> dict[str, Any]:
        """Give back all that is left of a payment; `force` as for a debit."""
        if not is_id(payment):
            raise Refused(replace(BAD_ID, field="$.payment"))
        command = Reverse(_key(id), payment, reason, note, force)
        return {"payment": payment, **await self._moved(command.id, command)}

    async def _moved(self, id: str, command: Command) -> dict[str, Any]:  # noqa: A002
        stored = await self._submit(command)
        assert isinstance(stored, Stored), "what the operator moves is an event"
        body = msgspec.json.decode(stored.event.body)
        terms = {name: body[name] for name in ("amount", "currency", "shortfall") if name in body}
        return {"id": id, "pos": stored.event.pos, **terms, "repeated": stored.repeated}

    async def wallet(self, handle: str) -> dict[str, Any]:
        """A person's balances."""
        user = await self._user(handle)
        funds, pos = await self._store.funds(user.id)
        return {"handle": user.handle, "pos": pos, "balances": balances(funds)}

    async def books(
        self, since: int | None = None, until: int | None = None, currency: str | None = None
    ) -> dict[str, Any]:
        """Trial balance, income and balance sheet."""
        found: dict[str, Any] = msgspec.to_builtins(await books(self._store, since, until, currency))
        return found

    async def freeze(
        self,
        handle: str,
        currency: str | None = None,
        incoming: bool = False,
        outgoing: bool = False,
        thaw: bool = False,
    ) -> dict[str, Any]:
        """Let nothing in, nothing out, or, with neither named, neither; or thaw.
        Holds can still be given back."""
        flags = (FROZEN_IN if incoming else 0) | (FROZEN_OUT if outgoing else 0) or FROZEN_IN | FROZEN_OUT
        return await self._flag(handle, currency, 0 if thaw else flags, flags if thaw else 0)

    async def close_wallet(
        self, handle: str, currency: str | None = None, reopen: bool = False
    ) -> dict[str, Any]:
        """Close what is empty, or open it again."""
        return await self._flag(handle, currency, 0 if reopen else CLOSED, CLOSED if reopen else 0)

    async def _flag(self, handle: str, currency: str | None, put: int, clear: int) -> dict[str, Any]:
        await self._submit(SetFlags(handle, currency, put, clear))
        return {"handle": handle, "currency": currency}

    async def set_tier(self, handle: str, tier: str) -> dict[str, Any]:
        """Move a person to another tier of limits and fees."""
        await self._submit(SetTier(handle, tier))
        return {"handle": handle, "tier": tier}

    # Copies

    async def backup(self, path: str) -> dict[str, Any]:
        """Write a copy of everything as of one moment into a new directory."""
        return await make_backup(self._store, Path(path), self._clock_ms())

    async def verify(self) -> dict[str, Any]:
        """Begin to check the ledger beside everything else, unless that is going on."""
        audits = self._beside()
        audits.start()
        return audits.progress()

    async def verified(self) -> dict[str, Any]:
        """How far the check is, and what the last one found."""
        return self._beside().progress()

    def _beside(self) -> Audits:
        if self._audits is None:
            raise Refused(AT_REST)
        return self._audits

    async def _user(self, handle: str) -> User:
        user = await self._store.user(handle)
        if user is None:
            raise Refused(NOBODY)
        return user

    async def _hash(self, password: str, source: str = "") -> str:
        if not can_be_typed(password):
            raise Refused(UNSEEN)
        if not PASSWORD_CHARS_MIN <= len(opaque(password)) <= PASSWORD_CHARS_MAX:
            raise Refused(WEAK)
        try:
            return await self._passwords.hash(password, source)
        except TooManyChecks:
            raise Refused(OVERLOADED) from None

    async def _hashed(self, password: str) -> str | Refusal:
        try:
            return await self._hash(password)
        except Refused as refused:
            return refused.refusal

    async def _outcome(self, command: Command) -> Outcome:
        return await self._pipeline.ask(Request(command, OPERATOR, msgspec.json.encode(command)))

    async def _submit(self, command: Command) -> Outcome:
        outcome = await self._outcome(command)
        if isinstance(outcome, Refusal):
            raise Refused(outcome)
        return outcome


def _found(found: dict[str, Any] | Refusal) -> dict[str, Any]:
    if isinstance(found, Refusal):
        raise Refused(found)
    return found


def _key(id: str | None) -> str:  # noqa: A002
    """The idempotency key that was given, or a new one."""
    if id is not None and not is_id(id):
        raise Refused(BAD_ID)
    return id or ids.event_id()
