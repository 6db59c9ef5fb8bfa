"""Every setting once: flag > TUPPENCE_* > tuppence.toml > default. Nothing else reads the environment."""

import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from . import networks
from .meanings import MEANINGS
from .money_tables import (
    Fee,
    Mistake,
    TiersLimits,
    check_round_trips,
    nearest,
    ppm,
    read_fees,
    read_limits,
    read_percent,
    read_rates,
)
from .values import EVERYWHERE, read_currency, read_host, read_origin, read_path

ENV_PREFIX: Final = "TUPPENCE_"
FILE_NAME: Final = "tuppence.toml"
CLIENT_NAMES: Final = frozenset({"token", "password", "peer_token", "peer_password", "peer", "url"})
"""What the clients read from variables of the same prefix."""
DEFAULT_CURRENCIES: Final = ("CHF", "CNY", "EUR", "GBP", "JPY", "USD")


class SettingsError(Exception):
    """A setting that cannot be used; the message says which, from where, and what is expected."""


class Settings(Struct, frozen=True, kw_only=True):
    """How one server runs."""

    data: Path = Path("data")
    mode: Literal["auto", "sandbox", "live"] = "auto"
    host: str = "127.0.0.1"
    port: int = 8802
    origins: tuple[str, ...] = ()
    program_origins: tuple[str, ...] = ()
    currencies: tuple[str, ...] = DEFAULT_CURRENCIES
    fees: tuple[Fee, ...] = ()
    limits: TiersLimits = {}
    exchange_rates: dict[str, str] = {}
    exchange_rates_file: Path | None = None
    exchange_stale_hours: int = 128
    exchange_spread_percent: str = "0.5"
    exchange_quote_s: int = 60
    registration: Literal["open", "closed"] = "open"
    rate_limits: Literal["on", "off"] = "on"
    connections_per_user: int = 10
    connections_per_address: int = 200
    session_days: int = 90
    verify_every_hours: int = 24
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    log_format: Literal["auto", "text", "json"] = "auto"
    log_addresses: Literal["on", "off"] = "on"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    damaged_log: Literal["stop", "new_epoch"] = "stop"
    password_workers: int = 2
    password_memory_kib: int = 65_536

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


_RANGES: Final[dict[str, tuple[int, int]]] = {
    "port": (0, 65_535),
    "exchange_stale_hours": (1, 8_760),
    "exchange_quote_s": (1, 3_600),
    "connections_per_user": (1, 1_000_000),
    "connections_per_address": (0, 1_000_000),
    "verify_every_hours": (0, 8_760),
    "session_days": (1, 36_500),
    "password_workers": (1, 256),
    "password_memory_kib": (8, 1 << 24),
}
_TABLES: Final[dict[str, tuple[Callable[[Any], Any], str]]] = {
    "fees": (read_fees, 'a list of tables such as [{"kind": "send", "currency": "EUR", "percent": "1.5"}]'),
    "limits": (read_limits, 'tables such as {"basic": {"EUR": {"per_payment": "500"}}}'),
    "exchange_rates": (read_rates, 'a table such as {"EUR/USD": "1.0842"}'),
}
"""How the nested settings are read; a text, as the environment holds, is JSON."""
_SINGLE: Final[dict[str, Callable[[str], str]]] = {
    "host": read_host,
    "origins": read_origin,
    "currencies": read_currency,
}
"""How a text, or each of a list, is brought into the form that is meant."""
_PATHS: Final = frozenset({"data", "exchange_rates_file", "tls_certificate", "tls_key"})


class Setting(Struct, frozen=True):
    """One setting: what it is, and where its value came from."""

    name: str
    value: Any
    origin: str
    default: Any
    meaning: str
    expected: str

    @property
    def environment(self) -> str:
        """The environment variable that sets it."""
        return ENV_PREFIX + self.name.upper()


def describe(
    values: Mapping[str, Any] | None = None, origins: Mapping[str, str] | None = None
) -> list[Setting]:
    """All settings, for `config show` and `config doc`."""
    found, defaults = [], Settings()
    for field in msgspec.structs.fields(Settings):
        name = field.name
        default = getattr(defaults, name)
        value = (values or {}).get(name, default)
        origin = (origins or {}).get(name, "default")
        found.append(Setting(name, value, origin, default, MEANINGS[name], _expected(name, field.type)))
    return found


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


def load(
    flags: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> tuple[Settings, dict[str, str]]:
    """The settings, and where each came from. Flags that are None were not given.

    Raises:
        SettingsError: an unknown name, or a value that does not fit.
    """
    env = os.environ if environ is None else environ
    names = {field.name: field for field in msgspec.structs.fields(Settings)}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    given = {name: value for name, value in flags.items() if value is not None}

    def take(source: str, mapping: Mapping[str, Any]) -> None:
        for name, value in mapping.items():
            if name not in names:
                raise SettingsError(f"{source}: there is no setting {name!r}{nearest(name, names)}.")
            values[name] = _convert(name, value, names[name].type, source)
            origins[name] = source

    above = (("environment", _environment(env, names)), ("flag", given))
    here = Path(FILE_NAME)
    take(str(here), _file(here))
    for source, mapping in above:
        take(source, {name: value for name, value in mapping.items() if name == "data"})
    data = values.get("data", names["data"].default)
    there = data / FILE_NAME
    if not _same(here, there):
        take(str(there), _file(there))
        if origins.get("data") == str(there):
            _agree(there, values["data"])
    for source, mapping in above:
        take(source, mapping)
    settings = Settings(**values)
    _check(settings)
    return settings, origins


def _agree(there: Path, data: Path) -> None:
    """A file in a data directory may name that one and no other."""
    if not _same(data, there.parent):
        raise SettingsError(
            f"{there}: data is {str(data)!r}, another directory than the one that this file is in; "
            f"take it out, or name the directory in ./{FILE_NAME}, {ENV_PREFIX}DATA or --data."
        )


def _file(path: Path) -> dict[str, Any]:
    """What a file says; nothing where there is none, or where nobody lets us look for one."""
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as fault:
        if not _open_to_us(path.parent):
            return {}  # which whoever opens the directory itself will say
        raise SettingsError(f"{path}: cannot be read: {fault.strerror}.") from fault
    try:
        return tomllib.loads(raw.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as fault:
        raise SettingsError(f"{path}: not TOML: {fault}; save it as UTF-8.") from fault
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise SettingsError(f"{path}: not TOML: {fault}.") from fault


def _open_to_us(directory: Path) -> bool:
    try:
        os.stat(f"{directory}/.")  # noqa: PTH116 - a Path drops the dot, which asks
    except OSError:
        return False
    return True


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _environment(env: Mapping[str, str], names: Mapping[str, Any]) -> dict[str, str]:
    found, unset = {}, Settings()
    for key, value in env.items():
        name = key.removeprefix(ENV_PREFIX).lower()
        if key.startswith(ENV_PREFIX) and name not in CLIENT_NAMES:
            if name not in names:
                raise SettingsError(f"environment: {key} sets nothing{nearest(name, names)}.")
            if value.strip():
                found[name] = value
            elif getattr(unset, name) not in ((), {}):  # units and compose files leave lists empty
                expected = _expected(name, names[name].type)
                raise SettingsError(
                    f"environment: {name} is {value!r}; expected {expected}, or {key} not set."
                )
    return found


def _convert(name: str, value: Any, kind: Any, source: str) -> Any:
    """Read a value; a text may also be a list, separated by commas, or for the nested settings JSON."""
    try:
        if name in _TABLES:
            read, _ = _TABLES[name]
            return read(_json(name, value) if isinstance(value, str) else value)
        if name == "exchange_spread_percent":
            return read_percent(value, name)
    except Mistake as fault:
        raise SettingsError(f"{source}: {fault}") from fault
    if isinstance(value, str) and kind == tuple[str, ...]:
        value = [part.strip() for part in value.split(",") if part.strip()]
    elif isinstance(value, str) and _choices(kind):
        value = value.strip().lower()
    return _meant(
        name, _converted(name, str(value) if isinstance(value, Path) else value, kind, source), source
    )


def _converted(name: str, value: Any, kind: Any, source: str) -> Any:
    mistaken = SettingsError(f"{source}: {name} is {value!r}; expected {_expected(name, kind)}.")
    if isinstance(value, (bool, float)) or (isinstance(value, str) and not value.strip()):
        raise mistaken
    if isinstance(value, str) and kind is int:
        value = value.strip()
    is_path = kind in (Path, Path | None)
    try:
        return msgspec.convert(value, str if is_path else kind, strict=is_path or kind is str)
    except msgspec.ValidationError as fault:
        raise mistaken from fault


def _meant(name: str, value: Any, source: str) -> Any:
    read = _SINGLE.get(name)
    try:
        if name in _PATHS:
            return read_path(name, value)
        if read is None:
            return value
        return read(value) if isinstance(value, str) else tuple(dict.fromkeys(map(read, value)))
    except Mistake as fault:
        raise SettingsError(f"{source}: {fault}") from fault


def _choices(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _json(name: str, text: str) -> Any:
    """What a text holds; none is the nested setting's default."""
    if not text.strip():
        return [] if name == "fees" else {}
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as fault:
        raise Mistake(f"{name} is not JSON: {fault}; expected {_TABLES[name][1]}.") from fault


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a member is there twice")
    return found


def _check(settings: Settings) -> None:
    for name, (least, most) in _RANGES.items():
        value = getattr(settings, name)
        if value < least:
            raise SettingsError(f"{name} is {value}; it is at least {least}.")
        if value > most:
            raise SettingsError(f"{name} is {value}; it is at most {most}.")
    if not settings.currencies:
        raise SettingsError("currencies is empty; expected ISO 4217 codes such as EUR.")
    for origin in settings.program_origins:
        if origin in {"null", "*", ""}:
            raise SettingsError(
                f"program_origins: {origin!r} is what any page may send; name the program's own."
            )
    for proxy in settings.trusted_proxies:
        try:
            networks.network(proxy)
        except networks.Mistake as fault:
            raise SettingsError(f"trusted_proxies: {fault}.") from fault
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise SettingsError("tls_certificate and tls_key go together; one of them is missing.")
    try:
        spread = ppm(settings.exchange_spread_percent, "exchange_spread_percent")
        check_round_trips(settings.exchange_rates, spread)
    except Mistake as fault:
        raise SettingsError(str(fault)) from fault


def _expected(name: str, kind: Any) -> str:
    if name in _TABLES:
        return _TABLES[name][1]
    if name == "exchange_spread_percent":
        return "a percentage"
    if kind in (int, str):
        return "a whole number" if kind is int else "text"
    if kind == tuple[str, ...]:
        return "a list"
    if _choices(kind):
        return "one of " + ", ".join(get_args(kind))
    return "a path"
