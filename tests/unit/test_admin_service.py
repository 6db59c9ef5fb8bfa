"""What the operator orders, in process over a real store: handles as they are written,
and what is done stays done."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tuppence_server.admin.service import AdminService
from tuppence_server.app import opened_admin
from tuppence_server.config.settings import Settings
from tuppence_server.domain.rows import User
from tuppence_server.store.contract import Store, StoreFault


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[tuple[AdminService, Store]]:
    async with opened_admin(Settings(data=tmp_path / "data", password_memory_kib=8), make=True) as pair:
        await pair[0].do("user.add", {"handle": "bob"})
        yield pair


BY_HANDLE: dict[str, dict[str, Any]] = {
    "user.show": {},
    "user.passwd": {"password": "correct horse"},
    "user.disable": {"disabled": False},
    "user.tier": {"tier": "basic"},
    "session.open": {},
    "wallet.credit": {"amount": "5.00", "currency": "EUR"},
    "wallet.debit": {"amount": "1.00", "currency": "EUR", "reason": "Paid out"},
    "wallet.show": {},
    "wallet.freeze": {"thaw": True},
    "wallet.close": {"reopen": True},
}


async def test_every_action_takes_a_handle_as_people_write_it(opened: tuple[AdminService, Store]) -> None:
    admin, _ = opened
    for written in ("bob", "@bob", " @bob ", "@BOB"):
        for action, more in BY_HANDLE.items():
            done = await admin.do(action, {"handle": written, **more})
            assert done.get("handle", "bob") == "bob", (action, written)
    assert (await admin.do("user.add", {"handle": "@carol"}))["handle"] == "carol"


@pytest.mark.parametrize(
    "fault", [StoreFault("disk I/O error", fatal=False), ValueError("no active connection")]
)
async def test_what_is_committed_is_done_though_the_store_cannot_be_read_after(
    opened: tuple[AdminService, Store], monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    admin, store = opened

    async def broken(handle: str) -> User | None:
        raise fault

    with monkeypatch.context() as patched, structlog.testing.capture_logs() as told:
        patched.setattr(store, "user", broken)
        done = await admin.do("wallet.credit", {"handle": "bob", "amount": "5.00", "currency": "EUR"})
    assert done["repeated"] is False
    (line,) = [each for each in told if each["event"] == "operator_did"]
    assert (line["id"], line["fault"]) == (done["id"], type(fault).__name__)
    assert (await admin.do("wallet.show", {"handle": "bob"}))["balances"][0]["available"] == "5.00"
