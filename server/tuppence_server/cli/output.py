"""What every command shares: options, one way to fail, one way to print.

Data goes to stdout, talk to stderr; `--json` on each command makes the data JSON. Exit codes: 0 done, 1
failed or refused, 2 wrong usage, 3 cannot start or open the data, 4 a check found problems, 5 another process
has the data or the server does not answer, 130 interrupted.
"""

import functools
import shlex
import shutil
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from tuppence_server.config import loading
from tuppence_server.config.settings import Settings, SettingsError
from tuppence_server.telemetry.logs import silence

from .printable import Paper, one_line, unplug

FAILED, USAGE, CANNOT_START, PROBLEMS, UNREACHABLE, INTERRUPTED = 1, 2, 3, 4, 5, 130
out: Final = Paper()
talk: Final = Paper(stderr=True)


def _directory(text: str) -> Path:
    if not text.strip():
        raise typer.BadParameter("it is empty; expected a directory such as ./data.")
    return Path(text)


DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Data directory (default: ./data).",
        show_default=False,
        parser=_directory,
        metavar="DIRECTORY",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def fail(message: str, code: int = FAILED) -> typer.Exit:
    """Say what went wrong in one line on stderr and end with this code."""
    talk.print(Text("error:", style="bold red"), one_line(message.rstrip("\n")))
    return typer.Exit(code)


def program() -> str:
    """How the command line is called from here: `tuppence`, or its path where it is not on PATH."""
    script = Path(sys.executable).with_name("tuppence")
    if shutil.which("tuppence") or not script.exists():
        return "tuppence"
    with suppress(ValueError):
        script = script.relative_to(Path.cwd())
    return shlex.quote(str(script))


def counted(number: int, what: str, several: str = "") -> str:
    """ "1 event", "2 events"; `several` where more than one are called otherwise."""
    return f"{number} {what if number == 1 else several or what + 's'}"


def plain(text: str) -> str:
    """What people wrote, for a place in a line or a table."""
    return one_line(text)


def guarded(work: Callable[..., None]) -> Callable[..., None]:
    """Turn every failure into one clear line and an exit code."""

    @functools.wraps(work)
    def run(*args: Any, **kwargs: Any) -> None:
        silence()
        try:
            _readable(kwargs)
            work(*args, **kwargs)
            out.flush()
        except (typer.Exit, typer.TyperException):
            out.flush()
            raise
        except BrokenPipeError:
            unplug(out)
        except (KeyboardInterrupt, typer.Abort) as stop:
            if notes := _notes(stop):
                raise fail(f"Interrupted.{notes}", INTERRUPTED) from None
            raise typer.Exit(INTERRUPTED) from None
        except Exception as fault:  # noqa: BLE001 - told in one line, whatever it is
            message, code = _explained(fault)
            raise fail(message + _notes(fault), code) from None

    return run


def _readable(given: dict[str, Any]) -> None:
    for name, value in given.items():
        if isinstance(value, (str, Path)):
            try:
                str(value).encode()
            except UnicodeEncodeError:
                raise fail(f"{name} is not UTF-8: {str(value)!r}.", USAGE) from None


def _notes(fault: BaseException) -> str:
    """What is to be known beside the failure itself."""
    return "".join(f" {note}" for note in getattr(fault, "__notes__", ()))


def _explained(fault: Exception) -> tuple[str, int]:
    """What to say of a failure, and the exit code."""
    from tuppence_server.admin.backup import BackupDamaged, BackupError
    from tuppence_server.admin.refusals import Refused
    from tuppence_server.data_dir import DataInUse, WrongData
    from tuppence_server.serving.listening import CannotListen
    from tuppence_server.store.contract import SchemaTooNew, StoreFault, Unusable

    from .admin_client import Unreachable

    match fault:
        case SettingsError():
            return str(fault), USAGE
        case Refused():
            return f"{fault.refusal.code}: {fault.refusal.message}", FAILED
        case Unreachable() | DataInUse():
            return str(fault), UNREACHABLE
        case SchemaTooNew() | Unusable() | WrongData() | CannotListen():
            return str(fault), CANNOT_START
        case StoreFault():
            return f"The database cannot be used: {fault}; see: tuppence doctor", CANNOT_START
        case BackupDamaged():
            return str(fault), PROBLEMS
        case BackupError():
            return str(fault), FAILED
        case OSError():
            return system_error(fault), FAILED
    return _bug(fault), FAILED


def system_error(fault: OSError) -> str:
    """What the system would not do, and with which file."""
    why = fault.strerror or str(fault) or type(fault).__name__
    named = [str(name) for name in (fault.filename, fault.filename2) if name is not None]
    return f"{' and '.join(named)}: {why}." if named else f"{why}."


def _bug(fault: Exception) -> str:
    """Where it happened; never the values, which may be somebody's."""
    frames = traceback.extract_tb(fault.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"This is a fault of Tuppence: {type(fault).__name__} in {place}. Please report it."


def read_settings(**flags: Any) -> Settings:
    """The settings with these flags on top."""
    return loading.load(flags)[0]


def administer(data: Path | None, action: str, **arguments: Any) -> Any:
    """Carry out an action of the administration in a data directory; as `admin_client.do`."""
    from .admin_client import do

    return do(read_settings(data=data), action, **arguments)


def show(value: Any, as_json: bool, text: str | Table) -> None:
    """Print a result for a person or a program."""
    if as_json:
        out.json(value)
    else:
        out.print(text)


def forgiving_streams() -> None:
    """A terminal that lacks a character gets its escape instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
