"""The commands about people."""

from typing import Annotated, Any

import typer
from rich.table import Table

from .inputs import new_password
from .output import DataOption, JsonOption, administer, guarded, plain, program, show, talk

users = typer.Typer(no_args_is_help=True, help="Add, list and shut out people.")


StdinOption = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")]


@users.command("add")
@guarded
def user_add(
    handle: Annotated[str, typer.Argument(help="2 to 32 of a-z, 0-9 and _.")],
    name: Annotated[str, typer.Option(help="The name to show.")] = "",
    password_stdin: StdinOption = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="No login but through the operator.")
    ] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a person. The password comes from the prompt, --password-stdin or TUPPENCE_PASSWORD.

    Example:  tuppence user add alice --name "Alice"
    """
    password = None if no_password else new_password(from_stdin=password_stdin)
    made = administer(data, "user.add", handle=handle, name=name, password=password)
    show(made, as_json, f"@{made['handle']} is {made['id']}")


@users.command("list")
@guarded
def user_list(
    search: Annotated[str, typer.Argument(help="A part of handle or name, or an id.")] = "",
    tier: Annotated[str | None, typer.Option(help="Only those of this tier.")] = None,
    frozen: Annotated[
        bool | None, typer.Option("--frozen/--not-frozen", help="Only who is, or is not.")
    ] = None,
    disabled: Annotated[
        bool | None, typer.Option("--disabled/--enabled", help="Only who is, or is not.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="So many at most.")] = 1_000,
    after: Annotated[str, typer.Option(metavar="HANDLE", help="Go on behind this handle.")] = "",
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List people by handle: everybody, or those who fit.

    Example:  tuppence user list ali --tier basic --not-frozen
    """
    found = administer(
        data, "user.list",
        search=search, tier=tier, frozen=frozen, disabled=disabled, after=after, limit=limit,
    )  # fmt: skip
    table = Table("handle", "name", "id", "tier", "state", "last login", box=None)
    for user in found:
        table.add_row(
            "@" + user["handle"], plain(user["name"]), user["id"], plain(user["tier"]), _state(user),
            _day(user["last_login"]),
        )  # fmt: skip
    asked = search or tier or frozen is not None or disabled is not None or after
    nobody = "Nobody fits." if asked else f"Nobody yet. Add somebody: {program()} user add alice"
    show(found, as_json, table if found else nobody)
    if len(found) == limit:
        talk.print(f"There may be more: --after @{found[-1]['handle']}")


@users.command("show")
@guarded
def user_show(handle: str, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show a person: state, tier, groups, balances and logins."""
    found = administer(data, "user.show", handle=handle)
    table = Table("@" + found["handle"], plain(found["name"]), box=None)
    rows = [("id", found["id"]), ("tier", plain(found["tier"])), ("state", _state(found) or "good")]
    rows += [("since", _day(found["created_at"])), ("last login", _day(found["last_login"]))]
    rows += [("groups", str(found["groups"])), *(("account", flag) for flag in found["flags"])]
    for each in found["balances"]:
        held = f", {each['held']} held" if each["held"].strip("0.") else ""
        rows.append((each["currency"], each["available"] + held))
    for login in found["logins"]:
        rows.append(("login", f"{_day(login['created_at'])}  {plain(login['device'])}  {login['session']}"))
    for name, value in rows:
        table.add_row(name, value)
    show(found, as_json, table)


def _state(user: dict[str, Any]) -> str:
    return ", ".join(name for name in ("disabled", "frozen") if user[name])


def _day(at: int | None) -> str:
    from tuppence_server.reports.statement import moment

    return "" if at is None else moment(at)[:16].replace("T", " ")


@users.command("passwd")
@guarded
def user_passwd(
    handle: str, password_stdin: StdinOption = False, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Give a person another password; all their logins end."""
    administer(data, "user.show", handle=handle)  # nobody types a password for nobody
    password = new_password(from_stdin=password_stdin)
    done = administer(data, "user.passwd", handle=handle, password=password)
    show(done, as_json, f"@{done['handle']} has a new password; all logins ended.")


@users.command("disable")
@guarded
def user_disable(
    handle: str,
    enable: Annotated[bool, typer.Option("--enable", help="Let the person in again.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shut a person out; all their logins end. --enable lets them in again."""
    done = administer(data, "user.disable", handle=handle, disabled=not enable)
    show(done, as_json, f"@{done['handle']} is {'enabled' if enable else 'disabled'}.")


@users.command("tier")
@guarded
def user_tier(
    handle: Annotated[str, typer.Argument(help="Who, such as @alice.")],
    tier: Annotated[str, typer.Argument(help="A tier that fees and limits in tuppence.toml name.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move a person to another tier of fees and limits; everybody begins as "basic".

    Example:  tuppence user tier @alice verified
    """
    done = administer(data, "user.tier", handle=handle, tier=tier)
    show(done, as_json, f"@{done['handle']} is {done['tier']} now.")
