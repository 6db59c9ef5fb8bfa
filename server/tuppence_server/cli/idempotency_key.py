"""What an operator's command moves, it moves once: its key is made before anything is sent, and told in every
doubt."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from tuppence_server import ids
from tuppence_server.admin.refusals import Refused
from tuppence_server.data_dir import DataInUse, WrongData
from tuppence_server.store.contract import SchemaTooNew, Unusable

from .admin_client import Unreachable

_DOUBTFUL: Final = frozenset({"internal", "unavailable"})
"""Refusals that do not say what became of the command."""
_NEVER_BEGUN: Final = (typer.Exit, DataInUse, WrongData, SchemaTooNew, Unusable)


@contextmanager
def once(key: str | None) -> Iterator[str]:
    """The idempotency key that was given, or a new one; a failure after which it may have been done names
    it."""
    key = ids.event_id() if key is None else key
    try:
        yield key
    except BaseException as fault:
        if _may_be_done(fault):
            fault.add_note(
                "It may have been done. To be sure, give the same command again with "
                f"--id {key}, which does it once."
            )
        raise


def _may_be_done(fault: BaseException) -> bool:
    match fault:
        case Refused():
            return fault.refusal.code in _DOUBTFUL
        case Unreachable():
            return fault.sent
    return not isinstance(fault, _NEVER_BEGUN)
