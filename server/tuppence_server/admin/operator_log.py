"""What the log tells of the operator's acts: who they were about by id, and which way they went.

Never names, notes, reasons or sums.
"""

from typing import Any, Final

import structlog

from tuppence_server.store.contract import PeopleReads

from .arguments import Arguments

READING: Final = frozenset(
    {"user.list", "user.show", "payment.show", "wallet.show", "books", "ledger.progress"}
)
"""Actions that change nothing."""
DONE: Final = ("id", "pos", "repeated", "payment", "session")
TERMS: Final = ("disabled", "thaw", "incoming", "outgoing", "reopen", "force", "currency", "tier")
log = structlog.get_logger("tuppence.operator")


async def log_action(store: PeopleReads, action: str, given: Arguments, done: Any) -> None:
    """Log an act that is done; a fault here is logged, and is not the caller's."""
    if action in READING:
        return
    fields = {name: done[name] for name in DONE if name in done}
    fields |= {name: term for name in TERMS if (term := getattr(given, name, None)) is not None}
    handle = getattr(given, "handle", None)
    try:
        user = None if handle is None else await store.user(handle)
    except Exception as fault:  # noqa: BLE001 - whatever it is, what was done is done
        user, fields["fault"] = None, type(fault).__name__
    if user is not None:
        fields["user"] = user.id
    log.info("operator_did", do=action, **fields)
