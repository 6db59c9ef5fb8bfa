"""The commands about money: wallets, statements, the books, and the check of a red packet."""

import json
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import PACKET_SHARES_MAX
from tuppence_protocol.money import format_amount, parse_amount
from tuppence_protocol.packets import SEED_BYTES, draw, is_fair
from tuppence_server.admin.credentials import handle_meant

from .inputs import currency_of, period_ms
from .output import (
    PROBLEMS,
    USAGE,
    DataOption,
    JsonOption,
    administer,
    counted,
    fail,
    guarded,
    out,
    plain,
    read_settings,
    show,
)
from .printable import json_file, text_file

wallets = typer.Typer(no_args_is_help=True, help="Credit people, show balances, freeze and close accounts.")
packets = typer.Typer(no_args_is_help=True, help="Check that a red packet was fair.")

WhoArgument = Annotated[str, typer.Argument(help="Who, such as @alice.")]
AmountArgument = Annotated[str, typer.Argument(help="How much, such as 100.00.")]
CurrencyArgument = Annotated[str, typer.Argument(help="ISO 4217 code, such as EUR.")]
NoteOption = Annotated[str | None, typer.Option(help="A line for the people concerned to see.")]
KeyOption = Annotated[
    str | None, typer.Option("--id", help="Idempotency key (a UUID): the same again changes nothing.")
]
InOption = Annotated[bool, typer.Option("--in", help="What comes in, and not what goes out.")]
OutOption = Annotated[bool, typer.Option("--out", help="What goes out, and not what comes in.")]
CurrencyOption = Annotated[
    str | None, typer.Option("--currency", help="Only this account; without it all of the person's.")
]


@wallets.command("credit")
@guarded
def wallet_credit(
    handle: WhoArgument,
    amount: AmountArgument,
    currency: CurrencyArgument,
    note: NoteOption = None,
    id: KeyOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Credit a person with money that you took in.

    Example:  tuppence wallet credit @alice 100.00 EUR
    """
    from .idempotency_key import once

    code = currency_of(currency)
    minor = parse_amount(amount, code, "amount")
    if isinstance(minor, Refusal):
        raise fail(f"{minor.code}: {minor.message}")
    with once(id) as key:
        done = administer(
            data, "wallet.credit", handle=handle, amount=amount, currency=code, note=note, id=key
        )
        show(done, as_json, f"@{done['handle']} received {done['amount']} {done['currency']} ({done['id']})")


@wallets.command("show")
@guarded
def wallet_show(handle: str, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show a person's balances."""
    found = administer(data, "wallet.show", handle=handle)
    table = Table("currency", "available", "held", box=None)
    for balance in found["balances"]:
        table.add_row(balance["currency"], balance["available"], balance["held"])
    show(found, as_json, table if found["balances"] else f"@{found['handle']} has no money yet.")


@wallets.command("freeze")
@guarded
def wallet_freeze(
    handle: WhoArgument,
    currency: CurrencyOption = None,
    incoming: InOption = False,
    outgoing: OutOption = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze a person's money: --in, --out, or, with neither, both ways.
    What is held can still be given back.

    Example:  tuppence wallet freeze @alice --out
    """
    order = {"handle": handle, "currency": _code(currency), "incoming": incoming, "outgoing": outgoing}
    _freeze(data, as_json, **order, thaw=False)


@wallets.command("thaw")
@guarded
def wallet_thaw(
    handle: WhoArgument,
    currency: CurrencyOption = None,
    incoming: InOption = False,
    outgoing: OutOption = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a freeze: --in, --out, or, with neither, both ways."""
    order = {"handle": handle, "currency": _code(currency), "incoming": incoming, "outgoing": outgoing}
    _freeze(data, as_json, **order, thaw=True)


def _freeze(data: DataOption, as_json: bool, **order: Any) -> None:
    done = administer(data, "wallet.freeze", **order)
    ways = " and ".join(way for way, name in (("in", "incoming"), ("out", "outgoing")) if order[name])
    what = f"{done['currency'] or 'all accounts'} of @{done['handle']}"
    show(done, as_json, f"{'Thawed' if order['thaw'] else 'Froze'} {what}, {ways or 'in and out'}.")


@wallets.command("close")
@guarded
def wallet_close(
    handle: WhoArgument,
    currency: CurrencyOption = None,
    reopen: Annotated[bool, typer.Option("--reopen", help="Open it again.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close an account for good, or until --reopen; it has to be empty, with nothing on its way.

    Example:  tuppence wallet close @alice --currency USD
    """
    done = administer(data, "wallet.close", handle=handle, currency=_code(currency), reopen=reopen)
    what = f"{done['currency'] or 'all accounts'} of @{done['handle']}"
    show(done, as_json, f"{'Reopened' if reopen else 'Closed'} {what}.")


def _code(currency: str | None) -> str | None:
    return None if currency is None else currency_of(currency)


# --- looking back ----------------------------------------------------------------------------------

FromOption = Annotated[
    str | None, typer.Option("--from", help="First day, or moment in UTC: 2026-11-01, 2026-11-01T08:30.")
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Last day, whole, or the moment before which to end.")
]


@guarded
def statement(
    handle: WhoArgument,
    currency: CurrencyArgument,
    first: FromOption = None,
    last: ToOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, safe to open as a spreadsheet.")] = False,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Show what moved a person's balance: opening, every line, closing. Days and moments are in UTC.

    Example:  tuppence statement @alice EUR --from 2026-11-01 --csv > alice.csv
    """
    from . import admin_client

    since, until = period_ms(first, last)
    settings, name, code = read_settings(data=data), handle_meant(handle), currency_of(currency)
    form = "csv" if as_csv else "json"
    wanted = {"handle": name, "currency": code, "format": form, "from": since, "to": until}
    if as_csv or as_json:
        admin_client.statement(settings, wanted, text_file(out) if as_csv else json_file(out))
        return
    with tempfile.TemporaryFile() as kept:
        admin_client.statement(settings, wanted, kept)
        kept.seek(0)
        _print_statement(name, code, kept)


def _print_statement(name: str, currency: str, lines: Iterable[bytes]) -> None:
    """One line after the other, so that a long one takes no more memory than a short one."""
    head: dict[str, Any] = {}
    for raw in lines:
        line = json.loads(raw)
        if not head:
            head = line
            out.print(Text.assemble((f"@{plain(name)}", "bold"), f", {currency}: opening {head['opening']}"))
        elif "closing" in line:
            out.print(
                f"closing {line['closing']}, {counted(line['lines'], 'line')}, ledger at pos {head['pos']}"
            )
            return
        else:
            when = f"{datetime.fromtimestamp(line['at'] / 1000, UTC):%Y-%m-%d %H:%M}"
            who = line["with"] if line["with"] == "operator" else f"@{line['with']}"
            note = f"  {line['note']}" if "note" in line else ""
            amounts = f"{line['amount']:>14} {line['balance']:>14}"
            out.print(f"{when}  {amounts}  {line['code']:<12} {plain(who + note)}")
    raise fail("The statement broke off; verify the ledger.")


@guarded
def books(
    first: FromOption = None,
    last: ToOption = None,
    currency: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show trial balance, income and balance sheet, by currency. Exit code 4 where they do not balance.

    The income is that of the period; the rest is as of its end.  Example:  tuppence books --from 2026-11-01
    """
    since, until = period_ms(first, last)
    found = administer(data, "books", since=since, until=until, currency=_code(currency))
    show(found, as_json, books_table(found))
    if not found["balanced"]:
        raise typer.Exit(PROBLEMS)


def books_table(found: dict[str, Any]) -> Table | str:
    """The books for people to read."""
    currencies = found["currencies"]
    if not currencies:
        return "No money has moved yet."
    table = Table("", box=None, show_header=True)
    for each in currencies:
        table.add_column(each["currency"], justify="right")

    def section(part: str, title: str, key: str, columns: list[str], together: list[str]) -> None:
        table.add_row(Text(title, "bold"))
        lines = [{line[key]: _amounts(line, columns) for line in each[part]} for each in currencies]
        names = dict.fromkeys(name for each in lines for name in each)
        for name in sorted(names) if key == "code" else names:
            table.add_row(f"  {name}", *[each.get(name, "") for each in lines])
        if together:
            table.add_row("  Together", *[_amounts(each, together) for each in currencies])

    both = ["debits", "credits"]
    section("trial", "Trial balance (debits, credits)", "code", both, both)
    section("income", "Income", "name", ["amount"], ["net_income"])
    for part in ("assets", "liabilities", "equity"):
        section(part, part.capitalize(), "name", ["amount"], [])
    table.add_row(
        Text("Balanced", "bold"), *["yes" if each["balanced"] else Text("NO", "red") for each in currencies]
    )
    return table


def _amounts(line: dict[str, str], columns: list[str]) -> str:
    return "  ".join(line[column] for column in columns)


# --- red packets -----------------------------------------------------------------------------------


@packets.command("check")
@guarded
def packet_check(
    id: Annotated[str, typer.Argument(help="The id of the packet's event.")],
    proof: Annotated[str, typer.Argument(help="`proof` of that event.")],
    seed: Annotated[str, typer.Argument(help="`seed` of the event that ended the packet.")],
    total: Annotated[str, typer.Option(help="`total` of the packet.")],
    currency: Annotated[str, typer.Option(help="`currency` of the packet.")],
    count: Annotated[int, typer.Option(help="`count` of the packet.", min=1, max=PACKET_SHARES_MAX)],
    mode: Annotated[Literal["equal", "lucky"], typer.Option(help="`mode` of the packet.")] = "lucky",
    as_json: JsonOption = False,
) -> None:
    """Check that a packet's shares were settled before anybody claimed one. Needs no server and trusts none.

    Exit code 4 where the seed does not make the shares that were promised.
    """
    code = currency_of(currency)
    minor = parse_amount(total, code, "total")
    if isinstance(minor, Refusal):
        raise fail(f"{minor.code}: {minor.message}", USAGE)
    if minor < count:
        raise fail(f"{total} {code} cannot be {count} shares; each has at least the smallest unit.", USAGE)
    try:
        secret = bytes.fromhex(seed)
    except ValueError:
        raise fail("The seed is not hexadecimal.", USAGE) from None
    if len(secret) != SEED_BYTES:
        raise fail(f"A seed has {SEED_BYTES} bytes, {2 * SEED_BYTES} hexadecimal digits.", USAGE)
    fair = is_fair(id, minor, count, mode, proof, secret)
    shares = [format_amount(share, code) for share in draw(secret, minor, count, mode)] if fair else []
    verdict = (
        f"Fair: the shares were {', '.join(shares)}." if fair else "Not fair: this is not what was promised."
    )
    show({"fair": fair, "shares": shares}, as_json, verdict)
    if not fair:
        raise typer.Exit(PROBLEMS)
