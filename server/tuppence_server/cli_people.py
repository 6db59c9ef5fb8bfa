"""The commands about people."""

from typing import Annotated

import typer
from rich.table import Table

from .inputs import handle_of, new_password
from .shell import DataOption, JsonOption, guarded, plain, read_settings, show

users = typer.Typer(no_args_is_help=True, help="Add, list and shut out people.")


# --- people ----------------------------------------------------------------------------------------


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
    from . import desk

    password = None if no_password else new_password(from_stdin=password_stdin)
    made = desk.do(
        read_settings(data=data), "user.add", handle=handle_of(handle), name=name, password=password
    )
    show(made, as_json, f"@{made['handle']} is {made['id']}")


@users.command("list")
@guarded
def user_list(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List everybody."""
    from . import desk

    found = desk.do(read_settings(data=data), "user.list")
    table = Table("handle", "name", "id", "state", box=None)
    for user in found:
        table.add_row(
            "@" + user["handle"], plain(user["name"]), user["id"], "disabled" if user["disabled"] else ""
        )
    show(found, as_json, table if found else "Nobody yet. Add somebody: tuppence user add alice")


@users.command("passwd")
@guarded
def user_passwd(
    handle: str, password_stdin: StdinOption = False, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Give a person another password; all their logins end."""
    from . import desk

    password = new_password(from_stdin=password_stdin)
    handle = handle_of(handle)
    done = desk.do(read_settings(data=data), "user.passwd", handle=handle, password=password)
    show(done, as_json, f"@{handle} has a new password; all logins ended.")


@users.command("disable")
@guarded
def user_disable(
    handle: str,
    enable: Annotated[bool, typer.Option("--enable", help="Let the person in again.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shut a person out; all their logins end. --enable lets them in again."""
    from . import desk

    handle = handle_of(handle)
    done = desk.do(read_settings(data=data), "user.disable", handle=handle, disabled=not enable)
    show(done, as_json, f"@{handle} is {'enabled' if enable else 'disabled'}.")


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
    from . import desk

    done = desk.do(read_settings(data=data), "user.tier", handle=handle_of(handle), tier=tier)
    show(done, as_json, f"@{done['handle']} is {done['tier']} now.")
