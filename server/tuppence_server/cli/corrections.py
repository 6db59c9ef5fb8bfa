"""The commands by which the operator takes money back: out of a balance, or from who was paid to who paid."""

from typing import Annotated, Any

import typer
from rich.table import Table

from .inputs import currency_of
from .money import AmountArgument, CurrencyArgument, KeyOption, NoteOption, WhoArgument, wallets
from .output import DataOption, JsonOption, administer, guarded, plain, show

payments = typer.Typer(no_args_is_help=True, help="Look at single payments and correct them.")

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; the people concerned see it.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Where the balance is too small, bear the rest as a loss of yours.")
]


@wallets.command("debit")
@guarded
def wallet_debit(
    handle: WhoArgument,
    amount: AmountArgument,
    currency: CurrencyArgument,
    reason: ReasonOption,
    note: NoteOption = None,
    force: ForceOption = False,
    id: KeyOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take money out of a person's balance: what you paid out, or a credit that was wrong.

    No balance falls below zero: without --force it is refused.
    Example:  tuppence wallet debit @alice 40.00 EUR --reason "Paid out in cash"
    """
    from .idempotency_key import once

    code = currency_of(currency)
    with once(id) as key:
        done = administer(
            data, "wallet.debit",
            handle=handle, amount=amount, currency=code, reason=reason, note=note, force=force, id=key,
        )  # fmt: skip
        taken = f"{done['amount']} {done['currency']} were taken from @{done['handle']} ({done['id']})"
        show(done, as_json, taken + _remarks(done))


@payments.command("show")
@guarded
def payment_show(
    payment: Annotated[str, typer.Argument(help="The id of the payment's event.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a payment as it stands: who, how much, what became of it, and its note."""
    found = administer(data, "payment.show", payment=payment)
    table = Table(found["kind"], found["id"], box=None)
    for name, value in found.items():
        if name not in {"kind", "id", "shares", "received", "at"}:
            table.add_row(name.replace("_", " "), plain(str(value)))
    for share in found.get("shares", ()):
        table.add_row("share", f"{share['user']}  {share['amount']}  {share['state']}")
    show(found, as_json, table)


@payments.command("reverse")
@guarded
def payment_reverse(
    payment: Annotated[str, typer.Argument(help="The id of the payment's event.")],
    reason: ReasonOption,
    note: NoteOption = None,
    force: ForceOption = False,
    id: KeyOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give back all that is left of a payment, from who was paid to who paid. Both see it, with the reason.

    Fees stay where they are. Example:  tuppence payment reverse 0197a1c3-… --reason "Stolen telephone"
    """
    from .idempotency_key import once

    with once(id) as key:
        done = administer(
            data, "payment.reverse", payment=payment, reason=reason, note=note, force=force, id=key
        )
        given = f"{done['amount']} {done['currency']} of {done['payment']} were given back ({done['id']})"
        show(done, as_json, given + _remarks(done))


def _remarks(done: dict[str, Any]) -> str:
    borne = f"; {done['shortfall']} of it are your loss" if "shortfall" in done else ""
    return borne + ("; it had been done before, nothing moved" if done["repeated"] else "")
