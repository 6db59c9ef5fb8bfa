"""Every setting once: type, default, meaning, range, and how it is read where its type does not tell.

The table in docs/operating.md is made from it; `loading.py` takes the values from where they are given.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from .money_tables import Fee, TiersLimits, read_fees, read_limits, read_rates, read_spread
from .values import EVERYWHERE, read_currency, read_host, read_origin

ENV_PREFIX: Final = "TUPPENCE_"
DEFAULT_CURRENCIES: Final = ("CHF", "CNY", "EUR", "GBP", "JPY", "USD")
PASSWORD_MEMORY_KIB_ADVISED: Final = 19_456
Switch = Literal["on", "off"]


class SettingsError(Exception):
    """A setting that cannot be used; the message says which, from where, and what is expected."""


class Each(Struct, frozen=True):
    """Brings a text, or each of a list, into the form that is meant; raises `Mistake`."""

    read: Callable[[str], str]


class Whole(Struct, frozen=True):
    """Reads a value as it is given; raises `Mistake`. `expected` says what it takes."""

    read: Callable[[Any], Any]
    expected: str


def about(meaning: str, least: int | None = None, most: int | None = None) -> Meta:
    """What a setting means, and its range."""
    return Meta(description=meaning, ge=least, le=most)


class Settings(Struct, frozen=True, kw_only=True):
    """How one server runs."""

    data: Annotated[
        Path, about("Directory that holds the database, the lock and the administration token.")
    ] = Path("data")
    mode: Annotated[
        Literal["auto", "sandbox", "live"],
        about(
            "Whether money is play money (sandbox) or real (live); auto is what the data directory is, "
            "sandbox for a new one."
        ),
    ] = "auto"
    host: Annotated[str, about("Address to listen on."), Each(read_host)] = "127.0.0.1"
    port: Annotated[int, about("Port to listen on; 0 takes any free one.", 0, 65_535)] = 8802
    origins: Annotated[
        tuple[str, ...],
        about("Web origins that may open a WebSocket besides the server's own."),
        Each(read_origin),
    ] = ()
    program_origins: Annotated[
        tuple[str, ...],
        about("What programs that are no browsers may send as Origin, as they write it; most send none."),
    ] = ()
    currencies: Annotated[
        tuple[str, ...], about("ISO 4217 codes that people may be paid in here."), Each(read_currency)
    ] = DEFAULT_CURRENCIES
    fees: Annotated[
        tuple[Fee, ...],
        about("What payments cost, by kind, currency and tier; the first that fits counts."),
        Whole(read_fees, 'a list of tables such as [{"kind": "send", "currency": "EUR", "percent": "1.5"}]'),
    ] = ()
    limits: Annotated[
        TiersLimits,
        about("What people may pay and hold, by tier and currency; without an entry there is no limit."),
        Whole(read_limits, 'tables such as {"basic": {"EUR": {"per_payment": "500"}}}'),
    ] = {}
    exchange_rates: Annotated[
        dict[str, str],
        about("Fixed rates, units of the second currency for one of the first; they come before the file's."),
        Whole(read_rates, 'a table such as {"EUR/USD": "1.0842"}'),
    ] = {}
    exchange_rates_file: Annotated[
        Path | None,
        about("File of rates in the XML format of the European Central Bank, read again when it changes."),
    ] = None
    exchange_stale_hours: Annotated[
        int, about("Hours after which the rates of a file are too old to be used.", 1, 8_760)
    ] = 128
    exchange_spread_percent: Annotated[
        str,
        about("Part of what is sold in an exchange that stays with the operator."),
        Whole(read_spread, "a percentage"),
    ] = "0.5"
    exchange_quote_s: Annotated[int, about("Seconds that a quote holds.", 1, 3_600)] = 60
    registration: Annotated[
        Literal["open", "closed"],
        about("Whether anybody may register over HTTP, or only the operator adds users."),
    ] = "open"
    rate_limits: Annotated[
        Switch, about("Pace limits for users and addresses; off only for benchmarks and load tests.")
    ] = "on"
    connections_per_user: Annotated[int, about("WebSockets that one user may have open.", 1, 1_000_000)] = 10
    connections_per_address: Annotated[
        int,
        about(
            "Connections that one network address (IPv6: one /64) may have open; 0 for no limit, and no"
            " pace of an address's hellos.",
            0,
            1_000_000,
        ),
    ] = 200
    session_days: Annotated[int, about("Days that a login lasts.", 1, 36_500)] = 90
    verify_every_hours: Annotated[
        int, about("Hours between two checks of the ledger while the server runs; 0 for none.", 0, 8_760)
    ] = 24
    tls_certificate: Annotated[
        Path | None, about("PEM file with the certificate chain; set with tls_key to serve https and wss.")
    ] = None
    tls_key: Annotated[Path | None, about("PEM file with the certificate's key.")] = None
    trusted_proxies: Annotated[
        tuple[str, ...], about("Addresses or networks of proxies whose X-Forwarded-For names the client.")
    ] = ()
    log_format: Annotated[
        Literal["auto", "text", "json"],
        about("How log lines look; auto is text on a terminal and JSON elsewhere."),
    ] = "auto"
    log_addresses: Annotated[
        Switch,
        about("Whether the line about a failed login tells the network address, as fail2ban needs it."),
    ] = "on"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], about("The least level that is logged.")
    ] = "info"
    damaged_log: Annotated[
        Literal["stop", "new_epoch"],
        about(
            "What to do at a start where the database's log was damaged and commits in it are lost: "
            "stop, or go on without them under a new epoch."
        ),
    ] = "stop"
    password_workers: Annotated[
        int, about("Threads that check passwords; each check uses password_memory_kib.", 1, 256)
    ] = 2
    password_memory_kib: Annotated[
        int, about("Memory that one password hash takes (argon2id); at least 19456.", 8, 1 << 24)
    ] = 65_536

    @property
    def everywhere(self) -> bool:
        """Whether to listen on every address of this machine."""
        return self.host in EVERYWHERE

    @property
    def base_url(self) -> str:
        """The address to show a person, one that can be opened on this machine."""
        scheme = "https" if self.tls_certificate else "http"
        reached = EVERYWHERE.get(self.host, self.host)
        host = f"[{reached}]" if ":" in reached else reached
        return f"{scheme}://{host}:{self.port}"


class Field(Struct, frozen=True):
    """What is declared of a setting; `reader` where its type does not tell how it is read."""

    name: str
    kind: Any
    default: Any
    meta: Meta
    reader: Each | Whole | None

    @property
    def environment(self) -> str:
        """The environment variable that sets it."""
        return ENV_PREFIX + self.name.upper()

    @property
    def is_path(self) -> bool:
        """Whether it names a file or directory."""
        return self.kind in (Path, Path | None)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it may be; empty where it is no choice."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def expected(self) -> str:
        """What may be given, for a person."""
        if isinstance(self.reader, Whole):
            return self.reader.expected
        if self.choices:
            return "one of " + ", ".join(self.choices)
        return {int: "a whole number", str: "text", tuple[str, ...]: "a list"}.get(self.kind, "a path")


def _declared() -> Iterator[Field]:
    kinds, declared = get_type_hints(Settings), get_type_hints(Settings, include_extras=True)
    for field in msgspec.structs.fields(Settings):
        meta, *reader = declared[field.name].__metadata__
        default = getattr(Settings(), field.name)
        yield Field(field.name, kinds[field.name], default, meta, *(reader or [None]))


FIELDS: Final = {field.name: field for field in _declared()}


def shown(value: Any) -> str:
    """A setting's value as the environment would give it: lists with commas, nested ones as JSON."""
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, tuple) and isinstance(value[0], str):
        return ", ".join(value)
    return str(value) if isinstance(value, (str, int, Path)) else msgspec.json.encode(value).decode()


def spread_out(value: Any) -> str:
    """The same for a person to read: nested ones with a line for each table or pair."""
    if isinstance(value, dict):
        return "\n".join(_lines(value))
    if isinstance(value, tuple) and value and isinstance(value[0], Fee):
        return "\n".join(map(_members, value))
    return shown(value)


def _lines(tables: Mapping[str, Any]) -> Iterator[str]:
    for name, each in tables.items():
        if isinstance(each, str):
            yield f"{name} {each}"
        else:
            for currency, limits in each.items():
                yield f"{name}.{currency}: {_members(limits)}"


def _members(table: Struct) -> str:
    return ", ".join(f"{name} {each}" for name, each in msgspec.to_builtins(table).items())


def unwise(settings: Settings) -> Iterator[tuple[str, str]]:
    """What is unwise outside this machine: what it is about, and what to do."""
    if settings.host not in ("127.0.0.1", "::1", "localhost") and not settings.tls_certificate:
        yield "tls", "listens beyond this machine without TLS; set tls_certificate or use a TLS proxy"
    if settings.rate_limits == "off":
        yield "limits", "rate limits are off"
    if settings.password_memory_kib < PASSWORD_MEMORY_KIB_ADVISED:
        yield (
            "passwords",
            f"password_memory_kib is below {PASSWORD_MEMORY_KIB_ADVISED}, the least that OWASP advises",
        )
