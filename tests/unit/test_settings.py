"""Every setting once: flag before environment before file before default; a mistake is told,
never guessed at."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from tuppence_server.cli.main import app
from tuppence_server.config.loading import FILE_NAME, load
from tuppence_server.config.money_tables import Fee, TierLimits
from tuppence_server.config.settings import (
    DEFAULT_CURRENCIES,
    ENV_PREFIX,
    FIELDS,
    Settings,
    SettingsError,
    shown,
    spread_out,
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty directory, so that no file of the developer's counts."""
    monkeypatch.chdir(tmp_path)


def test_with_nothing_said_the_defaults_hold() -> None:
    settings, origins = load({}, {})
    assert settings == Settings()
    assert origins == {}
    assert settings.host == "127.0.0.1", "nobody is served beyond this machine by accident"
    assert settings.currencies == DEFAULT_CURRENCIES


def test_flag_before_environment_before_file_before_default(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    Path(FILE_NAME).write_text('port = 1\nhost = "here"\nsession_days = 1\nlog_level = "error"\n')
    (data / FILE_NAME).write_text('port = 2\nhost = "data"\nsession_days = 2\n')
    env = {"TUPPENCE_PORT": "3", "TUPPENCE_HOST": "env", "OTHER": "x"}
    settings, origins = load({"port": 4, "host": None, "data": data}, env)
    assert (settings.port, origins["port"]) == (4, "flag")
    assert (settings.host, origins["host"]) == ("env", "environment")
    assert (settings.session_days, origins["session_days"]) == (2, str(data / FILE_NAME))
    assert (settings.log_level, origins["log_level"]) == ("error", FILE_NAME)
    assert settings.data == data
    assert "registration" not in origins


def test_the_data_directory_of_the_environment_is_where_its_file_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / FILE_NAME).write_text("port = 5")
    settings, _ = load({}, {"TUPPENCE_DATA": str(tmp_path / "there")})
    assert (settings.port, settings.data) == (5, tmp_path / "there")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", "0", 0),
        ("origins", "https://a.example, https://b.example ,", ("https://a.example", "https://b.example")),
        ("currencies", "EUR,JPY", ("EUR", "JPY")),
        ("registration", "closed", "closed"),
        ("log_format", "json", "json"),
        ("connections_per_address", "0", 0),
        ("data", "/srv/tuppence", Path("/srv/tuppence")),
        ("mode", "live", "live"),
        ("exchange_rates_file", "/srv/ecb.xml", Path("/srv/ecb.xml")),
        ("exchange_spread_percent", "0", "0"),
        ("exchange_quote_s", "3600", 3600),
        ("fees", '[{"kind": "send", "percent": 1}]', (Fee(kind="send", percent="1"),)),
        ("limits", '{"basic": {"EUR": {"daily": "1000.5"}}}', {"basic": {"EUR": TierLimits(daily="1000.5")}}),
        ("exchange_rates", '{"EUR/USD": "1.0842"}', {"EUR/USD": "1.0842"}),
    ],
)  # fmt: skip
def test_texts_of_the_environment_become_values(name: str, text: str, value: Any) -> None:
    settings, origins = load({}, {ENV_PREFIX + name.upper(): text})
    assert getattr(settings, name) == value
    assert origins == {name: "environment"}


def test_tables_in_a_file() -> None:
    Path(FILE_NAME).write_text(
        """
        exchange_rates = { "EUR/USD" = "1.0842", "EUR/JPY" = 160 }
        exchange_spread_percent = 1

        [[fees]]
        kind = "send"
        currency = "EUR"
        fixed = "0.10"
        percent = "1.5"
        maximum = "5"
        paid_by = "payee"

        [[fees]]
        percent = "0.25"

        [limits.basic.EUR]
        per_payment = "500"
        hourly_count = 20

        [limits.basic.JPY]
        balance = "100000"
        """
    )
    settings, _ = load({}, {})
    assert settings.fees == (
        Fee(kind="send", currency="EUR", fixed="0.10", percent="1.5", maximum="5", paid_by="payee"),
        Fee(percent="0.25"),
    )
    assert settings.limits == {
        "basic": {
            "EUR": TierLimits(per_payment="500", hourly_count=20),
            "JPY": TierLimits(balance="100000"),
        }
    }
    assert settings.exchange_rates == {"EUR/USD": "1.0842", "EUR/JPY": "160"}
    assert settings.exchange_spread_percent == "1"


def test_the_environment_replaces_the_tables_of_a_file_whole() -> None:
    Path(FILE_NAME).write_text('[limits.basic.EUR]\ndaily = "5"\n')
    settings, origins = load({}, {"TUPPENCE_LIMITS": '{"gold": {"EUR": {"daily": "9"}}}'})
    assert set(settings.limits) == {"gold"}
    assert origins == {"limits": "environment"}


def test_lists_in_a_file() -> None:
    Path(FILE_NAME).write_text('currencies = ["EUR"]\norigins = "https://a.example"\n')
    settings, _ = load({}, {})
    assert settings.currencies == ("EUR",)
    assert settings.origins == ("https://a.example",)


@pytest.mark.parametrize(
    ("flags", "env", "file", "told"),
    [
        ({"prot": 1}, {}, "", "flag: there is no setting 'prot'; did you mean 'port'?"),
        ({}, {}, "curencies = []",
         "tuppence.toml: there is no setting 'curencies'; did you mean 'currencies'?"),
        ({}, {"TUPPENCE_HOSTS": "x"}, "", "environment: TUPPENCE_HOSTS sets nothing; did you mean 'host'?"),
        ({}, {"TUPPENCE_XYZZY": "x"}, "", "environment: TUPPENCE_XYZZY sets nothing."),
        ({}, {"TUPPENCE_PORT": "many"}, "", "environment: port is 'many'; expected a whole number."),
        ({}, {"TUPPENCE_PORT": ""}, "", "environment: port is ''; expected a whole number."),
        ({}, {}, "port = 80.5", "tuppence.toml: port is 80.5; expected a whole number."),
        ({}, {}, "port = []", "tuppence.toml: port is []; expected a whole number."),
        ({}, {}, "origins = 5", "tuppence.toml: origins is 5; expected a list."),
        ({}, {}, "host = 5", "tuppence.toml: host is 5; expected text."),
        ({}, {}, "tls_key = 5", "tuppence.toml: tls_key is 5; expected a path."),
        ({}, {"TUPPENCE_REGISTRATION": "maybe"}, "",
         "registration is 'maybe'; expected one of open, closed."),
        ({"port": -1}, {}, "", "port is -1; it is at least 0."),
        ({"port": 65_536}, {}, "", "port is 65536; it is at most 65535."),
        ({"connections_per_user": 0}, {}, "", "connections_per_user is 0; it is at least 1."),
        ({"session_days": 0}, {}, "", "session_days is 0; it is at least 1."),
        ({"currencies": "EUR,XXX"}, {}, "", "currencies: 'XXX' is not an ISO 4217 code such as EUR."),
        ({"tls_key": "k.pem"}, {}, "", "tls_certificate and tls_key go together; one of them is missing."),
        ({}, {}, "port = ", "tuppence.toml: not TOML: "),
        ({}, {"TUPPENCE_MODE": "test"}, "", "mode is 'test'; expected one of auto, sandbox, live."),
        ({}, {"TUPPENCE_EXCHANGE_QUOTE_S": "0"}, "", "exchange_quote_s is 0; it is at least 1."),
        ({}, {"TUPPENCE_EXCHANGE_QUOTE_S": "3601"}, "", "exchange_quote_s is 3601; it is at most 3600."),
        ({}, {}, "exchange_stale_hours = 0", "exchange_stale_hours is 0; it is at least 1."),
        ({}, {}, "exchange_stale_hours = 8761", "exchange_stale_hours is 8761; it is at most 8760."),
        ({}, {}, "exchange_rates_file = 5", "tuppence.toml: exchange_rates_file is 5; expected a path."),
        ({}, {}, "fee = []", "tuppence.toml: there is no setting 'fee'; did you mean 'fees'?"),
        (
            {},
            {"TUPPENCE_FEES": "percent=1"},
            "",
            ("environment: fees is not JSON: Expecting value: line 1 column 1 (char 0); expected a list "
            "of tables"),
        ),
        ({}, {"TUPPENCE_EXCHANGE_RATES": '{"EUR/USD": "1", "EUR/USD": "2"}'}, "",
         "environment: exchange_rates is not JSON: a member is there twice; expected a table such as"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(
    flags: dict[str, Any], env: dict[str, str], file: str, told: str
) -> None:
    if file:
        Path(FILE_NAME).write_text(file)
    with pytest.raises(SettingsError) as fault:
        load(flags, env)
    assert told.rstrip("?.") in str(fault.value)


def test_a_file_that_is_not_utf_8_is_told() -> None:
    Path(FILE_NAME).write_bytes(b'host = "\xff"')
    with pytest.raises(SettingsError, match=r"tuppence\.toml: not TOML"):
        load({}, {})


def test_what_the_client_reads_from_the_environment_is_no_mistake() -> None:
    load({}, {"TUPPENCE_TOKEN": "x", "TUPPENCE_PASSWORD": "x", "TUPPENCEPORT": "x"})


def test_every_setting_has_a_meaning_and_a_variable() -> None:
    assert list(FIELDS) == [field.name for field in msgspec.structs.fields(Settings)]
    for field in FIELDS.values():
        assert field.meta.description.endswith(".")
        assert field.environment == f"TUPPENCE_{field.name.upper()}"
        assert field.default == getattr(Settings(), field.name)
    assert FIELDS["log_level"].expected == "one of debug, info, warning, error"
    assert FIELDS["tls_key"].expected == FIELDS["data"].expected == "a path"


FEES = (Fee(kind="send", currency="EUR", fixed="0.10", maximum="5"), Fee(percent="1"))
LIMITS = {"basic": {"EUR": TierLimits(daily="5", hourly_count=3), "JPY": TierLimits()}, "gold": {}}


@pytest.mark.parametrize(
    ("value", "text", "lines"),
    [
        (None, "", ""),
        ((), "", ""),
        ({}, "", ""),
        (0, "0", "0"),
        ("live", "live", "live"),
        (Path("a/b"), "a/b", "a/b"),
        (("EUR", "JPY"), "EUR, JPY", "EUR, JPY"),
        (FEES, '[{"kind":"send","currency":"EUR","fixed":"0.10","maximum":"5"},{"percent":"1"}]',
         "kind send, currency EUR, fixed 0.10, maximum 5\npercent 1"),
        (LIMITS, '{"basic":{"EUR":{"daily":"5","hourly_count":3},"JPY":{}},"gold":{}}',
         "basic.EUR: daily 5, hourly_count 3\nbasic.JPY: "),
        ({"EUR/USD": "1.1", "EUR/JPY": "160"}, '{"EUR/USD":"1.1","EUR/JPY":"160"}',
         "EUR/USD 1.1\nEUR/JPY 160"),
    ],
)  # fmt: skip
def test_values_are_shown_as_the_environment_takes_them_and_spread_out_for_people(
    value: Any, text: str, lines: str
) -> None:
    assert shown(value) == text
    assert spread_out(value) == lines


@pytest.mark.parametrize(
    ("name", "value"), [("fees", FEES), ("limits", LIMITS), ("exchange_rates", {"EUR/USD": "1.1"})]
)
def test_what_is_shown_can_be_given_back(name: str, value: Any) -> None:
    settings, _ = load({}, {ENV_PREFIX + name.upper(): shown(value)})
    assert getattr(settings, name) == value


def test_the_commands_show_and_explain_nested_settings() -> None:
    Path(FILE_NAME).write_text('[[fees]]\npercent = "1.5"\n[limits.basic.EUR]\ndaily = "5"\n')
    told = CliRunner().invoke(app, ["config", "show", "--json"])
    rows = {row.pop("name"): row for row in json.loads(told.output)}
    assert rows["port"] == {"value": "8802", "from": "default"}
    assert rows["fees"]["from"] == FILE_NAME
    values = {name: row["value"] for name, row in rows.items()}
    assert json.loads(values["fees"]) == [{"percent": "1.5"}]
    assert json.loads(values["limits"]) == {"basic": {"EUR": {"daily": "5"}}}
    text = CliRunner().invoke(app, ["config", "show"]).output
    assert "percent 1.5" in text
    assert "basic.EUR: daily 5" in text
    assert "| `fees` | `TUPPENCE_FEES` | `none` | a list of tables such as" in (
        CliRunner().invoke(app, ["config", "doc"]).output
    )


@pytest.mark.parametrize(
    ("flags", "url"),
    [
        ({}, "http://127.0.0.1:8802"),
        ({"host": "::1", "port": 80}, "http://[::1]:80"),
        ({"host": "pay.example", "tls_certificate": "c", "tls_key": "k"}, "https://pay.example:8802"),
    ],
)
def test_the_address_to_show(flags: dict[str, Any], url: str) -> None:
    assert load(flags, {})[0].base_url == url
