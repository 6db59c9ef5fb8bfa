"""What every command shares: options, one way to fail, one way to print.

Data goes to stdout, talk to stderr; `--json` on each command makes the data JSON. Exit codes: 0 done, 1 failed or
refused, 2 wrong usage, 3 cannot start, 4 a check found problems, 5 the server does not answer, 130 interrupted.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from . import settings as configuration
from .settings import Settings, SettingsError

FAILED, USAGE, CANNOT_START, PROBLEMS, UNREACHABLE = 1, 2, 3, 4, 5
out: Final = Console(soft_wrap=True, highlight=False)
talk: Final = Console(stderr=True, soft_wrap=True, highlight=False)

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data directory (default: ./data).", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def fail(message: str, code: int = FAILED) -> typer.Exit:
    """Say what went wrong on stderr and end with this code."""
    talk.print(f"[bold red]error[/]: {plain(message)}")
    return typer.Exit(code)


def plain(text: str) -> str:
    """Text that the console prints as it is."""
    return text.replace("[", "\\[")


def guarded(work: Callable[..., None]) -> Callable[..., None]:
    """Turn every expected failure into one clear line and an exit code."""

    @functools.wraps(work)
    def run(*args: Any, **kwargs: Any) -> None:
        from .app import DataInUse, WrongData
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
        except (SchemaTooNew, StoreFault, WrongData) as fault:
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
        out.print(plain(text) if isinstance(text, str) else text)
