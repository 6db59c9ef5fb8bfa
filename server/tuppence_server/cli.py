"""The command line. Data goes to stdout, talk to stderr; `--json` on each command makes the data JSON.

Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 cannot start, 4 a check found problems,
5 the server does not answer, 130 interrupted.
"""

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from tuppence_protocol.errors import Refusal
from tuppence_protocol.money import parse_amount

from . import __version__
from . import settings as configuration
from .settings import Settings, SettingsError

FAILED, USAGE, CANNOT_START, PROBLEMS, UNREACHABLE = 1, 2, 3, 4, 5
out: Final = Console(soft_wrap=True, highlight=False)
talk: Final = Console(stderr=True, soft_wrap=True, highlight=False)

app = typer.Typer(
    name="tuppence",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A server where people talk and pay each other over one WebSocket.\n\n"
    "Try it:  tuppence demo\n\nRun it:  tuppence serve --data ./data\n\n"
    "Settings come from flags, then TUPPENCE_* variables, then tuppence.toml, then defaults "
    "(see: tuppence config show).",
)
users = typer.Typer(no_args_is_help=True, help="Add, list and shut out people.")
wallets = typer.Typer(no_args_is_help=True, help="Credit people and show balances.")
ledgers = typer.Typer(no_args_is_help=True, help="Check the ledger.")
configs = typer.Typer(no_args_is_help=True, help="Show and explain the settings.")
schemas = typer.Typer(no_args_is_help=True, help="Write the wire's schemas.")
for group, name in (
    (users, "user"),
    (wallets, "wallet"),
    (ledgers, "ledger"),
    (configs, "config"),
    (schemas, "schema"),
):
    app.add_typer(group, name=name)

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data directory (default: ./data).", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def fail(message: str, code: int = FAILED) -> typer.Exit:
    """Say what went wrong on stderr and end with this code."""
    talk.print(f"[bold red]error[/]: {_plain(message)}")
    return typer.Exit(code)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def guarded(work: Callable[..., None]) -> Callable[..., None]:
    """Turn every expected failure into one clear line and an exit code."""

    @functools.wraps(work)
    def run(*args: Any, **kwargs: Any) -> None:
        from .app import DataInUse
        from .backup import BackupError
        from .desk import Unreachable
        from .office import Refused
        from .store.base import SchemaTooNew, StoreFault

        try:
            work(*args, **kwargs)
        except SettingsError as fault:
            raise fail(str(fault), USAGE) from None
        except Refused as refused:
            raise fail(f"{refused.refusal.code}: {refused.refusal.message}") from None
        except Unreachable as fault:
            raise fail(str(fault), UNREACHABLE) from None
        except DataInUse as fault:
            raise fail(f"{fault} Stop the server first.") from None
        except (SchemaTooNew, StoreFault) as fault:
            raise fail(str(fault), CANNOT_START) from None
        except (BackupError, OSError) as fault:
            raise fail(str(fault)) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return run


def read_settings(**flags: Any) -> Settings:
    """The settings with these flags on top."""
    return configuration.load(flags)[0]


def show(value: Any, as_json: bool, text: str | Table) -> None:
    """Print a result for a person or a program."""
    if as_json:
        out.file.write(json.dumps(value, ensure_ascii=False) + "\n")
    else:
        out.print(_plain(text) if isinstance(text, str) else text)


# --- running -----------------------------------------------------------------------------------------


@app.command()
@guarded
def serve(
    data: DataOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default="8802")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the server until it is told to stop (Ctrl-C or SIGTERM).

    Example:  tuppence serve --data ./data --port 8802
    """
    from .app import AdminAccess, DataInUse, run
    from .logs import configure

    settings = read_settings(data=data, host=host, port=port)
    configure(settings)

    def announce(access: AdminAccess) -> None:
        if as_json:
            show({"url": access.url, "data": str(settings.data), "pid": os.getpid()}, True, "")
            out.file.flush()
            return
        talk.print(
            f"[bold]Tuppence {__version__}[/] at [cyan]{access.url}[/]   data: {settings.data.resolve()}"
        )
        talk.print("Add people:    tuppence user add alice      (a password is asked for)")
        talk.print("Give money:    tuppence wallet credit @alice 100.00 EUR")
        talk.print("Talk and pay:  tuppence chat --as alice     Stop: Ctrl-C")
        for warning in insecure(settings):
            talk.print(f"[yellow]warning[/]: {warning}")

    try:
        code = run(settings, announce)
    except SystemExit:  # uvicorn has logged why
        raise fail(
            f"Cannot listen on {settings.host}:{settings.port}; see the log above.", CANNOT_START
        ) from None
    except (OSError, DataInUse) as fault:
        raise fail(str(fault), CANNOT_START) from None
    if code:
        raise fail("The server could not go on; see the log above.", CANNOT_START if code == 3 else code)


def insecure(settings: Settings) -> list[str]:
    """Settings that are unwise outside this machine."""
    found = []
    if settings.host not in ("127.0.0.1", "::1", "localhost") and not settings.tls_certificate:
        found.append(
            "listening beyond this machine without TLS; set tls_certificate or put a TLS proxy in front."
        )
    if settings.rate_limits == "off":
        found.append("rate limits are off.")
    if settings.password_memory_kib < 19_456:
        found.append("password_memory_kib is below 19456, the least that OWASP advises.")
    return found


@app.command()
@guarded
def demo(
    data: DataOption = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="a free one")] = None,
) -> None:
    """Try everything at once: a sandbox with alice, bob and carol, and a scripted conversation over real sockets.

    It serves on afterwards, so that you can join in; without a terminal it ends after the script.
    """
    from .demo import run_demo

    raise typer.Exit(run_demo(data, port))


@app.command()
@guarded
def chat(
    as_handle: Annotated[str, typer.Option("--as", help="Whose account: a handle such as alice.")],
    data: DataOption = None,
    url: Annotated[
        str | None, typer.Option(help="Server to talk to; without it, the one of the data directory.")
    ] = None,
) -> None:
    """Talk and pay in the terminal.

    With the data directory at hand the operator's access logs you in; elsewhere the password is asked for
    (or taken from TUPPENCE_PASSWORD), or TUPPENCE_TOKEN is used.
    """
    import asyncio

    from . import desk

    handle = as_handle.removeprefix("@")
    if url is None:
        settings = read_settings(data=data)
        access = desk.running(settings.data)
        if access is None:
            raise fail(
                f"No server runs on {settings.data}; start one with: tuppence serve --data {settings.data}"
            )
        session = desk.do(settings, "session.open", handle=handle, device="terminal")
        address, token = access.url, session["token"]
    else:
        address, token = url, _token_for(url, handle)
    asyncio.run(_chat(address, token))


async def _chat(url: str, token: str) -> None:
    from tuppence_client import connect
    from tuppence_client.terminal import run_terminal

    async with connect(url, token=token, device="terminal") as me:
        await run_terminal(me)


def _token_for(url: str, handle: str) -> str:
    import asyncio

    from tuppence_client import login

    if token := os.environ.get("TUPPENCE_TOKEN"):
        return token
    password = os.environ.get("TUPPENCE_PASSWORD") or typer.prompt("Password", hide_input=True, err=True)
    return asyncio.run(login(url, handle, password, device="terminal")).token


# --- people ----------------------------------------------------------------------------------------


def _new_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if given := os.environ.get("TUPPENCE_PASSWORD"):
        return given
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


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

    password = None if no_password else _new_password(password_stdin)
    made = desk.do(
        read_settings(data=data), "user.add", handle=handle.removeprefix("@"), name=name, password=password
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
            "@" + user["handle"], _plain(user["name"]), user["id"], "disabled" if user["disabled"] else ""
        )
    show(found, as_json, table if found else "Nobody yet. Add somebody: tuppence user add alice")


@users.command("passwd")
@guarded
def user_passwd(
    handle: str, password_stdin: StdinOption = False, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Give a person another password; all their logins end."""
    from . import desk

    password = _new_password(password_stdin)
    handle = handle.removeprefix("@")
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

    handle = handle.removeprefix("@")
    done = desk.do(read_settings(data=data), "user.disable", handle=handle, disabled=not enable)
    show(done, as_json, f"@{handle} is {'enabled' if enable else 'disabled'}.")


# --- money -----------------------------------------------------------------------------------------


@wallets.command("credit")
@guarded
def wallet_credit(
    handle: Annotated[str, typer.Argument(help="Who, such as @alice.")],
    amount: Annotated[str, typer.Argument(help="How much, such as 100.00.")],
    currency: Annotated[str, typer.Argument(help="ISO 4217 code, such as EUR.")],
    note: Annotated[str | None, typer.Option(help="A line for the person to see.")] = None,
    id: Annotated[
        str | None, typer.Option(help="Idempotency key (a UUID): the same again changes nothing.")
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Credit a person with money that you took in.

    Example:  tuppence wallet credit @alice 100.00 EUR
    """
    from . import desk

    minor = parse_amount(amount, currency.upper(), "amount")
    if isinstance(minor, Refusal):
        raise fail(f"{minor.code}: {minor.message}")
    done = desk.do(
        read_settings(data=data), "wallet.credit",
        handle=handle, amount=amount, currency=currency.upper(), note=note, id=id,
    )  # fmt: skip
    show(done, as_json, f"@{done['handle']} received {done['amount']} {done['currency']} ({done['id']})")


@wallets.command("show")
@guarded
def wallet_show(handle: str, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show a person's balances."""
    from . import desk

    found = desk.do(read_settings(data=data), "wallet.show", handle=handle)
    table = Table("currency", "available", "held", box=None)
    for balance in found["balances"]:
        table.add_row(balance["currency"], balance["available"], balance["held"])
    show(found, as_json, table if found["balances"] else f"@{found['handle']} has no money yet.")


# --- keeping --------------------------------------------------------------------------------------


@ledgers.command("verify")
@guarded
def ledger_verify(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check the audit chain, every transfer, every counter and every invariant.

    Stop the server first, or verify a backup: tuppence restore BACKUP NEW --verify. Exit code 4 where
    something is wrong.
    """
    import asyncio

    from .keeping import verify_data

    report = asyncio.run(verify_data(read_settings(data=data).data, quiet=as_json))
    _show_report(report, as_json)


def _show_report(report: dict[str, Any], as_json: bool) -> None:
    problems = report["problems"]
    lines = [
        f"{report['events']} events, {report['transfers']} transfers, {report['accounts']} accounts, pos {report['pos']}",
        f"head {report['hash']}",
        *(f"problem: {problem}" for problem in problems),
        "The ledger is good." if not problems else "The ledger is NOT good.",
    ]
    show(report, as_json, "\n".join(lines))
    if problems:
        raise typer.Exit(PROBLEMS)


@app.command()
@guarded
def backup(
    directory: Annotated[Path, typer.Argument(help="A directory that does not exist yet.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a copy of everything as of one moment, while the server runs or not.

    Example:  tuppence backup ./backups/2026-01-31
    """
    from . import desk

    made = desk.do(read_settings(data=data), "backup", path=str(directory.resolve()))
    show(made, as_json, f"Backup at {made['path']}, log position {made['pos']}, sha256 {made['sha256']}")


@app.command()
@guarded
def restore(
    source: Annotated[Path, typer.Argument(help="A directory that `tuppence backup` made.")],
    target: Annotated[Path, typer.Argument(help="A new data directory.")],
    verify: Annotated[bool, typer.Option("--verify", help="Check the whole ledger as well.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a backup back into a new data directory, under a new epoch.

    Example:  tuppence restore ./backups/2026-01-31 ./data-new --verify
    """
    import asyncio

    from .keeping import restore_data

    report = asyncio.run(restore_data(source, target, verify=verify, quiet=as_json))
    if not as_json:
        out.print(f"Restored to {target}. Start it: tuppence serve --data {target}")
    if "problems" in report:
        _show_report(report, as_json)
    else:
        show(report, as_json, f"Log position {report['pos']}.")


@app.command()
@guarded
def doctor(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Look for what could go wrong: versions, disk, settings, the ledger's head. Exit code 4 on problems."""
    from .keeping import examine

    found = examine(read_settings(data=data))
    table = Table("check", "state", "what it means", box=None)
    for finding in found:
        colour = {"ok": "green", "warning": "yellow", "problem": "red"}[finding["state"]]
        table.add_row(finding["check"], f"[{colour}]{finding['state']}[/]", _plain(finding["detail"]))
    show(found, as_json, table)
    if any(finding["state"] == "problem" for finding in found):
        raise typer.Exit(PROBLEMS)


# --- explaining -----------------------------------------------------------------------------------


@configs.command("show")
@guarded
def config_show(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show every setting's value and where it comes from."""
    settings, origins = configuration.load({"data": data})
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    rows = configuration.describe(values, origins)
    table = Table("setting", "value", "from", box=None)
    for row in rows:
        table.add_row(row.name, _plain(_text(row.value)), row.origin)
    show([{"name": r.name, "value": _text(r.value), "from": r.origin} for r in rows], as_json, table)


@configs.command("doc")
@guarded
def config_doc(as_json: JsonOption = False) -> None:
    """Explain every setting, as Markdown."""
    rows = configuration.describe()
    lines = ["| setting | environment | default | expected | meaning |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        default = _text(row.default) or "none"
        lines.append(f"| `{row.name}` | `{row.environment}` | `{default}` | {row.expected} | {row.meaning} |")
    value = [
        {"name": r.name, "environment": r.environment, "default": _text(r.default), "meaning": r.meaning}
        for r in rows
    ]
    show(value, as_json, "\n".join(lines))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(value) if isinstance(value, tuple) else str(value)


@schemas.command("export")
@guarded
def schema_export(
    directory: Annotated[Path, typer.Argument(help="Where to write schema.json and asyncapi.json.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Write the wire's JSON Schema and AsyncAPI documents."""
    from tuppence_protocol import schema

    directory.mkdir(parents=True, exist_ok=True)
    made = []
    for name, document in (("schema.json", schema.json_schema()), ("asyncapi.json", schema.asyncapi())):
        path = directory / name
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
        made.append(str(path))
    show({"files": made}, as_json, "\n".join(made))


@app.command()
def version(as_json: JsonOption = False) -> None:
    """Show the version."""
    show({"version": __version__}, as_json, __version__)


def main() -> None:
    """Run the command line."""
    app()
