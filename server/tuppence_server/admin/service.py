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
from .refusals import AT_REST, BAD_ID, NOBODY, OVERLOADED, UNSEEN, WEAK, WRONG_PASSWORD, Refused
from .registry import Registry, balances

DAY_MS: Final = 86_400_000
log = structlog.get_logger("tuppence.operator")


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
        registry = Registry(store, clock_ms)
        self._actions: dict[str, tuple[type[shapes.Arguments], Callable[..., Awaitable[Any]]]] = {
            "user.add": (shapes.NewUser, self.add_user),
            "user.list": (shapes.Search, registry.people),
            "user.show": (shapes.Whose, registry.person),
            "payment.show": (shapes.Named, registry.payment),
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
            done = await work(given)
        except Refused as refused:
            log.info("operator_refused", do=action, code=refused.refusal.code)
            raise
        await log_action(self._store, action, given, done)
        return done

    # Users

    async def add_user(self, given: shapes.NewUser, source: str = "") -> dict[str, Any]:
        """Register a person; without a password only the operator can log them in.

        `source` is the network that asks; empty for the operator.
        """
        kept = None if given.password is None else await self._hash(given.password, source)
        command = CreateUser(ids.user_id(), ids.conversation_id(), given.handle, given.name, kept)
        await self._submit(command)
        return {"id": command.user, "handle": given.handle, "name": given.name}

    async def import_people(self, given: shapes.Import) -> dict[str, Any]:
        """Add and credit up to ROWS_PER_CALL_MAX people; what is there already stays as it is."""
        return await import_rows(self._store, self._outcome, self._hashed, given.rows)

    async def set_password(self, given: shapes.NewPassword) -> dict[str, Any]:
        """Give a person another password; all their logins end."""
        await self._submit(SetPassword(given.handle, await self._hash(given.password)))
        return {"handle": given.handle}

    async def disable_user(self, given: shapes.Shut) -> dict[str, Any]:
        """Shut a person out, or let them in again."""
        await self._submit(DisableUser(given.handle, given.disabled))
        return {"handle": given.handle, "disabled": given.disabled}

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
            raise Refused(WRONG_PASSWORD)
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

    async def open_session(self, given: shapes.NewSession) -> dict[str, Any]:
        """Log a person in without a password, for the operator."""
        return await self._open(await self._user(given.handle), given.device)

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

    async def credit(self, given: shapes.Credit) -> dict[str, Any]:
        """Credit a person with money that the operator took in; the same id again changes nothing."""
        command = Deposit(_key(given.id), given.handle, given.amount, given.currency, given.note)
        return {"handle": given.handle, **await self._moved(command.id, command)}

    async def debit(self, given: shapes.Debit) -> dict[str, Any]:
        """Take money out of a balance; what is not there the operator bears, with `force`, or it is
        refused."""
        command = Withdraw(
            _key(given.id), given.handle, given.amount, given.currency, given.reason, given.note, given.force
        )
        return {"handle": given.handle, **await self._moved(command.id, command)}

    async def reverse(self, given: shapes.Reversal) -> dict[str, Any]:
        """Give back all that is left of a payment; `force` as for a debit."""
        if not is_id(given.payment):
            raise Refused(replace(BAD_ID, field="$.payment"))
        command = Reverse(_key(given.id), given.payment, given.reason, given.note, given.force)
        return {"payment": given.payment, **await self._moved(command.id, command)}

    async def _moved(self, id: str, command: Command) -> dict[str, Any]:  # noqa: A002
        stored = await self._submit(command)
        assert isinstance(stored, Stored), "what the operator moves is an event"
        body = msgspec.json.decode(stored.event.body)
        terms = {name: body[name] for name in ("amount", "currency", "shortfall") if name in body}
        return {"id": id, "pos": stored.event.pos, **terms, "repeated": stored.repeated}

    async def wallet(self, given: shapes.Whose) -> dict[str, Any]:
        """A person's balances."""
        user = await self._user(given.handle)
        funds, pos = await self._store.funds(user.id)
        return {"handle": user.handle, "pos": pos, "balances": balances(funds)}

    async def books(self, given: shapes.Period) -> dict[str, Any]:
        """Trial balance, income and balance sheet."""
        found = await books(self._store, given.since, given.until, given.currency)
        plain: dict[str, Any] = msgspec.to_builtins(found)
        return plain

    async def freeze(self, given: shapes.Freeze) -> dict[str, Any]:
        """Let nothing in, nothing out, or, with neither named, neither; or thaw.
        Holds can still be given back."""
        flags = (FROZEN_IN if given.incoming else 0) | (FROZEN_OUT if given.outgoing else 0)
        flags = flags or FROZEN_IN | FROZEN_OUT
        return await self._flag(given, 0 if given.thaw else flags, flags if given.thaw else 0)

    async def close_wallet(self, given: shapes.Shutter) -> dict[str, Any]:
        """Close what is empty, or open it again."""
        return await self._flag(given, 0 if given.reopen else CLOSED, CLOSED if given.reopen else 0)

    async def _flag(self, given: shapes.Freeze | shapes.Shutter, put: int, clear: int) -> dict[str, Any]:
        await self._submit(SetFlags(given.handle, given.currency, put, clear))
        return {"handle": given.handle, "currency": given.currency}

    async def set_tier(self, given: shapes.NewTier) -> dict[str, Any]:
        """Move a person to another tier of limits and fees."""
        await self._submit(SetTier(given.handle, given.tier))
        return {"handle": given.handle, "tier": given.tier}

    # Copies

    async def backup(self, given: shapes.Where) -> dict[str, Any]:
        """Write a copy of everything as of one moment into a new directory."""
        return await make_backup(self._store, Path(given.path), self._clock_ms())

    async def verify(self, _: shapes.Arguments) -> dict[str, Any]:
        """Begin to check the ledger beside everything else, unless that is going on."""
        audits = self._beside()
        audits.start()
        return audits.progress()

    async def verified(self, _: shapes.Arguments) -> dict[str, Any]:
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


def _key(id: str | None) -> str:  # noqa: A002
    """The idempotency key that was given, or a new one."""
    if id is not None and not is_id(id):
        raise Refused(BAD_ID)
    return id or ids.event_id()
