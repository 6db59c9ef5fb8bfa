"""How much of everything: the sizes that figures are quoted for,
and tiny ones that only show that all works."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Seconds are measured ones; each load warms up for `warmup_s` before. A round is floor, ours, floor."""

    rounds: int
    connections: int
    in_flight: int
    warmup_s: float
    seconds: float
    pgbench_s: int
    pgbench_warmup_s: int
    pgbench_scale: int
    sqlite_s: float
    fsync_s: float
    fanout_rounds: int
    fanout_s: float
    room: int
    idle_rounds: int
    idle: int
    old_accounts: int
    old_events: int
    groups: int
    groups_fewer: int
    returning: int
    missed: int
    claimers: int
    shares: int
    statement_lines: int
    statement_fewer: int
    ledger_rounds: int
    ledger_accounts: int
    ledger_transfers: int


FULL = Sizes(
    rounds=3,
    connections=200,
    in_flight=8,
    warmup_s=2.0,
    seconds=5.0,
    pgbench_s=8,
    pgbench_warmup_s=2,
    pgbench_scale=10,
    sqlite_s=2.0,
    fsync_s=2.0,
    fanout_rounds=3,
    fanout_s=3.0,
    room=1_000,
    idle_rounds=2,
    idle=5_000,
    old_accounts=100_000,
    old_events=2_000_000,
    groups=1_000,
    groups_fewer=10,
    returning=2_000,
    missed=50,
    claimers=500,
    shares=100,
    statement_lines=100_000,
    statement_fewer=10_000,
    ledger_rounds=2,
    ledger_accounts=2_000,
    ledger_transfers=500_000,
)

QUICK = Sizes(
    rounds=1,
    connections=20,
    in_flight=8,
    warmup_s=0.5,
    seconds=1.0,
    pgbench_s=1,
    pgbench_warmup_s=1,
    pgbench_scale=1,
    sqlite_s=0.2,
    fsync_s=0.3,
    fanout_rounds=1,
    fanout_s=1.0,
    room=50,
    idle_rounds=1,
    idle=300,
    old_accounts=500,
    old_events=5_000,
    groups=40,
    groups_fewer=2,
    returning=100,
    missed=50,
    claimers=50,
    shares=10,
    statement_lines=3_000,
    statement_fewer=300,
    ledger_rounds=1,
    ledger_accounts=100,
    ledger_transfers=2_000,
)
