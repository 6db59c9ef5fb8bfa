"""The command line: running the server, keeping its data, explaining itself."""

import json
import os
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Column, Table
from rich.text import Text

from tuppence_server import __version__
from tuppence_server.config import loading
from tuppence_server.config.settings import FIELDS, Settings, shown, spread_out, unwise

from .chat import chat
from .corrections import payments
from .money import books, packets, statement, wallets
from .output import (
    PROBLEMS,
    DataOption,
    JsonOption,
    administer,
    counted,
    fail,
    forgiving_streams,
    guarded,
    out,
    plain,
    program,
    read_settings,
    show,
    talk,
)
from .people import users
from .people_import import import_people

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
ledgers = typer.Typer(no_args_is_help=True, help="Check the ledger.")
configs = typer.Typer(no_args_is_help=True, help="Show and explain the settings.")
schemas = typer.Typer(no_args_is_help=True, help="Write the wire's schemas.")
for group, name in (
    (users, "user"),
    (wallets, "wallet"),
    (payments, "payment"),
    (packets, "packet"),
    (ledgers, "ledger"),
    (configs, "config"),
    (schemas, "schema"),
):
    app.add_typer(group, name=name)


app.command()(chat)
app.command()(statement)
app.command()(books)
app.command("import")(import_people)


# --- running -----------------------------------------------------------------------------------------


@app.command()
@guarded
def serve(
    data: DataOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default="8802")
    ] = None,
    mode: Annotated[
        Literal["auto", "sandbox", "live"] | None,
        typer.Option(
            help="What a new data directory is to be, for good: sandbox or live.", show_default="auto"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the server until it is told to stop (Ctrl-C or SIGTERM).

    Example:  tuppence serve --data ./data --port 8802
    """
    from tuppence_server.app import AdminAccess, run
    from tuppence_server.telemetry.logs import configure

    def reread() -> Settings:
        return read_settings(data=data, host=host, port=port, mode=mode)

    settings = reread()
    configure(settings)

    def announce(access: AdminAccess) -> None:
        if as_json:
            started = {"url": access.url, "data": str(settings.data), "pid": os.getpid(), "mode": access.mode}
            show(started, True, "")
            return
        _greet(settings, access)

    code = run(settings, announce, reread)
    if code:
        raise fail("The server could not go on; see the log above.", code)


def _greet(settings: Settings, access: Any) -> None:
    data = settings.data.resolve()
    there = "" if data == Path("data").resolve() else f" --data {shlex.quote(str(data))}"
    play = "sandbox: play money, with a faucet" if access.mode == "sandbox" else "live: the money is real"
    talk.print(Text(f"Tuppence {__version__}", "bold"), f"at {access.url}   data: {data}")
    if settings.everywhere:
        talk.print(f"Listens on:    every IPv{6 if ':' in settings.host else 4} address of this machine")
    talk.print(f"Mode:          {play}")
    called = program()
    talk.print(f"Add people:    {called} user add alice{there}      (a password is asked for)")
    talk.print(f"Give money:    {called} wallet credit @alice 100.00 EUR{there}")
    talk.print(f"Talk and pay:  {called} chat --as alice{there}     Stop: Ctrl-C")
    for _, warning in unwise(settings):
        talk.print(Text("warning:", "yellow"), f"{warning}.")


@app.command()
@guarded
def demo(
    data: DataOption = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="a free one")] = None,
) -> None:
    """Try everything at once: a sandbox with alice, bob and carol,
    and a scripted conversation over real sockets.

    It serves on afterwards, so that you can join in; without a terminal it ends after the script.
    """
    from .demo import run_demo

    raise typer.Exit(run_demo(data, port))


# --- keeping --------------------------------------------------------------------------------------


@ledgers.command("verify")
@guarded
def ledger_verify(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check the audit chain, every transfer, every counter and every invariant.

    While a server runs, it checks the rows as they are now, at a pace that nobody feels; pages and indexes of
    the file are checked as well where none runs. Exit code 4 where something is wrong.
    """
    from .maintenance import verify_data

    _show_report(verify_data(read_settings(data=data), quiet=as_json), as_json)


def _show_report(report: dict[str, Any], as_json: bool) -> None:
    problems, counts = report["problems"], ("event", "transfer", "account")
    lines = [
        f"{', '.join(counted(report[f'{what}s'], what) for what in counts)}, pos {report['pos']}",
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
    made = administer(data, "backup", path=str(directory.resolve()))
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

    from .maintenance import restore_data

    report = asyncio.run(restore_data(source, target, verify=verify, quiet=as_json))
    if report.get("problems"):
        talk.print(f"Nothing was restored to {target}: the backup is not good.")
    elif not as_json:
        out.print(f"Restored to {target}. Start it: {program()} serve --data {shlex.quote(str(target))}")
    if "problems" in report:
        _show_report(report, as_json)
    else:
        show(report, as_json, f"Log position {report['pos']}.")


@app.command()
@guarded
def doctor(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Look for what could go wrong: versions, disk, settings, the ledger's head. Exit code 4 on problems."""
    from .maintenance import examine

    found = examine(read_settings(data=data))
    table = Table("check", "state", "what it means", box=None)
    for finding in found:
        colour = {"ok": "green", "warning": "yellow", "problem": "red"}[finding["state"]]
        table.add_row(finding["check"], Text(finding["state"], colour), plain(finding["detail"]))
    show(found, as_json, table)
    if any(finding["state"] == "problem" for finding in found):
        raise typer.Exit(PROBLEMS)


# --- explaining -----------------------------------------------------------------------------------


@configs.command("show")
@guarded
def config_show(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show every setting's value and where it comes from."""
    settings, origins = loading.load({"data": data})
    rows = [(name, getattr(settings, name), origins.get(name, "default")) for name in FIELDS]
    table = Table("setting", Column("value", overflow="fold"), "from", box=None)
    for name, value, origin in rows:
        table.add_row(name, spread_out(value), origin)
    values = [{"name": name, "value": shown(value), "from": origin} for name, value, origin in rows]
    show(values, as_json, table)


@configs.command("doc")
@guarded
def config_doc(as_json: JsonOption = False) -> None:
    """Explain every setting, as Markdown."""
    lines = ["| setting | environment | default | expected | meaning |", "| --- | --- | --- | --- | --- |"]
    values = []
    for field in FIELDS.values():
        default, meaning = shown(field.default), field.meta.description
        words = f"`{field.name}` | `{field.environment}` | `{default or 'none'}`"
        lines.append(f"| {words} | {field.expected} | {meaning} |")
        values.append(
            {"name": field.name, "environment": field.environment, "default": default, "meaning": meaning}
        )
    show(values, as_json, "\n".join(lines))


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
@guarded
def version(as_json: JsonOption = False) -> None:
    """Show the version."""
    show({"version": __version__}, as_json, __version__)


def main() -> None:
    """Run the command line."""
    forgiving_streams()
    app()
