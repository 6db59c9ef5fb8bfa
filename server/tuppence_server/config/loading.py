"""Where settings come from: flag > TUPPENCE_* > tuppence.toml > default.
Nothing else reads the environment."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from . import networks
from .money_tables import Mistake, check_round_trips, nearest, ppm
from .settings import ENV_PREFIX, FIELDS, Field, Settings, SettingsError, Whole
from .values import read_path

FILE_NAME: Final = "tuppence.toml"
CLIENT_NAMES: Final = frozenset({"token", "password", "peer_token", "peer_password", "peer", "url"})
"""What the clients read from variables of the same prefix."""


def load(
    flags: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> tuple[Settings, dict[str, str]]:
    """The settings, and where each came from. Flags that are None were not given.

    Raises:
        SettingsError: an unknown name, or a value that does not fit.
    """
    env = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    given = {name: value for name, value in flags.items() if value is not None}

    def take(source: str, mapping: Mapping[str, Any]) -> None:
        for name, value in mapping.items():
            if name not in FIELDS:
                raise SettingsError(f"{source}: there is no setting {name!r}{nearest(name, FIELDS)}.")
            values[name] = _convert(FIELDS[name], value, source)
            origins[name] = source

    above = (("environment", _environment(env)), ("flag", given))
    here = Path(FILE_NAME)
    take(str(here), _file(here))
    for source, mapping in above:
        take(source, {name: value for name, value in mapping.items() if name == "data"})
    data = values.get("data", Settings().data)
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


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for key, value in env.items():
        name = key.removeprefix(ENV_PREFIX).lower()
        if key.startswith(ENV_PREFIX) and name not in CLIENT_NAMES:
            if name not in FIELDS:
                raise SettingsError(f"environment: {key} sets nothing{nearest(name, FIELDS)}.")
            field = FIELDS[name]
            if value.strip():
                found[name] = value
            elif field.default not in ((), {}):  # units and compose files leave lists empty
                raise SettingsError(
                    f"environment: {name} is {value!r}; expected {field.expected}, or {key} not set."
                )
    return found


def _convert(field: Field, value: Any, source: str) -> Any:
    """Read a value; a text may also be a list, separated by commas, or for the nested settings JSON."""
    reader = field.reader
    try:
        if isinstance(reader, Whole):
            nested = isinstance(value, str) and field.kind is not str
            return reader.read(_json(field, value) if nested else value)
        value = _typed(field, value, source)
        if field.is_path:
            return read_path(field.name, value)
        if reader is None:
            return value
        return reader.read(value) if isinstance(value, str) else tuple(dict.fromkeys(map(reader.read, value)))
    except Mistake as fault:
        raise SettingsError(f"{source}: {fault}") from fault


def _typed(field: Field, value: Any, source: str) -> Any:
    mistaken = SettingsError(f"{source}: {field.name} is {value!r}; expected {field.expected}.")
    kind = str if field.is_path else field.kind
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str) and kind == tuple[str, ...]:
        value = [part.strip() for part in value.split(",") if part.strip()]
    elif isinstance(value, str) and not value.strip():
        raise mistaken
    elif isinstance(value, str) and field.choices:
        value = value.strip().lower()
    elif isinstance(value, str) and kind is int:
        value = value.strip()
    if isinstance(value, (bool, float)):
        raise mistaken
    try:
        return msgspec.convert(value, kind, strict=kind is str)
    except msgspec.ValidationError as fault:
        raise mistaken from fault


def _json(field: Field, text: str) -> Any:
    """What a text holds; none is the nested setting's default."""
    if not text.strip():
        return [] if field.default == () else {}
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as fault:
        raise Mistake(f"{field.name} is not JSON: {fault}; expected {field.expected}.") from fault


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a member is there twice")
    return found


def _check(settings: Settings) -> None:
    for name, field in FIELDS.items():
        value, least, most = getattr(settings, name), field.meta.ge, field.meta.le
        if least is not None and value < least:
            raise SettingsError(f"{name} is {value}; it is at least {least}.")
        if most is not None and value > most:
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
