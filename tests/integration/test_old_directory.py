"""A data directory that a version before this one wrote: it opens, its ledger is whole, and its people go on.

Each file of `tests/fixtures/` is the database of a stopped server, named by the last migration that it knows.
In it are people, a group, payments of every kind and what became of them, refunds, and quotes.
"""

import lzma
from decimal import Decimal
from pathlib import Path

import pytest
from tests.support.server import Account, Server, serving

from tuppence_server.store.sqlite.migrate import migrations

WRITTEN = sorted((Path(__file__).parents[1] / "fixtures").glob("migration_*.db.xz"))
EPOCH = "e_xfrtvqfv2ozkhkv6ijfwsdxrvq"
LAST_POS, LAST_HASH = 62, "7229ce93bb4642892f0ebb59cf5546f97042bbf37c64aaf89a7b10116ef8e67d"
ALICE, BOB = (
    Account(handle, f"u_aaaaaaaaaaaaaaaaaaaaaaaaa{end}", f"t_{handle}".ljust(45, "0"), "")
    for handle, end in (("alice", "b"), ("bob", "c"))
)
SEEN = 50


@pytest.fixture(params=WRITTEN, ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory with an old data directory in it."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "tuppence.db").write_bytes(lzma.decompress(request.param.read_bytes()))
    (data / "tuppence.db").chmod(0o600)
    return tmp_path


async def test_its_ledger_is_whole_and_says_what_it_said(folder: Path) -> None:
    server = Server(folder / "data")
    report = await server.verify()
    assert (report["epoch"], report["pos"], report["hash"]) == (EPOCH, LAST_POS, LAST_HASH)
    assert server.rows("SELECT max(version) FROM migration") == [(migrations()[-1].version,)]


async def test_its_people_resume_read_back_and_pay(folder: Path) -> None:
    async with serving(folder, CURRENCIES="EUR,USD,JPY") as server:
        alice = await server.connect(ALICE, cursor={"epoch": EPOCH, "pos": SEEN})
        assert alice.ready["resumed"]
        missed = [event["kind"] for event in alice.events if event["pos"] <= LAST_POS]
        assert missed[-6:] == ["pay.send", "pay.packet", "pay.claim", "pay.refund", "pay.send", "pay.request"]
        bob = await server.connect(BOB)
        purses = {each["currency"]: each for each in alice.ready["balances"]}
        assert sum(Decimal(purses["EUR"][part]) for part in ("available", "held")) == Decimal("917.82")
        page = (await alice.submit("ask.history", "@bob", limit=200))["body"]
        assert [event["seq"] for event in page["events"]][:40] == list(range(1, 41))
        tea = next(event for event in page["events"] if event["body"].get("note") == "tea")
        assert (await bob.submit("pay.refund", "@alice", ref=tea["id"]))["body"]["amount"] == "1.50"
        payment = await alice.submit("pay.send", "@bob", amount="5", currency="EUR")
        assert payment["body"]["state"] == "completed"
        listed = (await alice.submit("ask.payments", limit=3))["body"]["payments"]
        assert listed[0]["id"] == payment["id"]
        await server.stop_and_verify()
