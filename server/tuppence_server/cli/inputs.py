"""What is typed at the command line, read the way it was meant, or refused with what is accepted."""

import codecs
import os
import sys
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from typing import Final

import typer

from tuppence_protocol.currencies import EXPONENTS
from tuppence_server.domain.pay.limits import DAY_MS

from .output import FAILED, USAGE, fail

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
PASSWORD_LINE_BYTES_MAX: Final = 65_536
_MOMENTS: Final = (
    "expected a day such as 2026-11-01, or a moment such as 2026-11-01T08:30 (UTC), of 1970 to 9999"
)


# --- names --------------------------------------------------------------------------------------------


def currency_of(text: str) -> str:
    """An ISO 4217 code, in capitals or not."""
    code = text.strip().upper()
    if code in EXPONENTS:
        return code
    near = get_close_matches(code, EXPONENTS, 1)
    meant = f"; did you mean {near[0]}?" if near else "."
    raise fail(f"unknown_currency: {text!r} is not an ISO 4217 code such as EUR{meant}", FAILED)


# --- time ---------------------------------------------------------------------------------------------


def period_ms(first: str | None, last: str | None) -> tuple[int | None, int | None]:
    """--from and --to as ms since the epoch, the second exclusive; a day is meant whole, in whichever
    form."""
    since, until = _moment_ms(first, "--from"), _moment_ms(last, "--to", end=True)
    if since is not None and until is not None and since >= until:
        raise fail(f"--from {first} is not before --to {last}; expected the earlier one first.", USAGE)
    return since, until


def _moment_ms(text: str | None, option: str, *, end: bool = False) -> int | None:
    if text is None:
        return None
    moment = _day_ms(text.strip(), end=end)
    if moment is None:
        moment = _time_ms(text.strip())
    if moment is None or moment < 0:
        raise fail(f"{option} is {text!r}; {_MOMENTS}.", USAGE)
    return moment


def _day_ms(text: str, *, end: bool) -> int | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    since_epoch = day.toordinal() - EPOCH.toordinal()
    return (since_epoch + end) * DAY_MS if since_epoch >= 0 else None


def _time_ms(text: str) -> int | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(milliseconds=1)


# --- passwords ----------------------------------------------------------------------------------------


def new_password(*, from_stdin: bool) -> str:
    """A password to set: from standard input, from TUPPENCE_PASSWORD, or asked for twice."""
    if from_stdin:
        return _from_stdin()
    return _from_environment() or _asked(twice=True)


def ask_password() -> str:
    """A password to log in with: from TUPPENCE_PASSWORD, or asked for once."""
    return _from_environment() or _asked(twice=False)


def _from_stdin() -> str:
    raw = sys.stdin.buffer.readline(PASSWORD_LINE_BYTES_MAX) if sys.stdin else b""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise fail("The password on standard input is UTF-16; write it as UTF-8.", USAGE)
    try:
        return _bare(raw.decode())
    except UnicodeDecodeError:
        raise fail("The password on standard input is not UTF-8.", USAGE) from None


def _from_environment() -> str:
    given = os.environ.get("TUPPENCE_PASSWORD", "")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise fail("TUPPENCE_PASSWORD is not UTF-8.", USAGE) from None
    return _bare(given)


def _bare(text: str) -> str:
    """Without what editors and other systems put around a line."""
    return text.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")


def _asked(*, twice: bool) -> str:
    if not sys.stdin or not sys.stdin.isatty():
        option = ", --password-stdin" if twice else ""
        raise fail(f"There is no terminal to ask for the password; use TUPPENCE_PASSWORD{option}.", USAGE)
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=twice, err=True))
