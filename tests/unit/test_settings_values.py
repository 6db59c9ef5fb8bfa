"""Every setting is checked when it is read: one form of what has one meaning,
an example for what has none."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence_server.config.loading import FILE_NAME, load
from tuppence_server.config.settings import ENV_PREFIX, Settings, SettingsError

NAMES = [field.name for field in msgspec.structs.fields(Settings)]
MAY_BE_NOTHING = {name for name in NAMES if getattr(Settings(), name) in ((), {})}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(env: dict[str, str] | None = None, **flags: Any) -> str:
    """What is said of settings that cannot be used."""
    with pytest.raises(SettingsError) as fault:
        load(flags, env or {})
    return str(fault.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_an_empty_variable_is_as_if_unset_or_refused_by_name(name: str, empty: str) -> None:
    variable = ENV_PREFIX + name.upper()
    if name in MAY_BE_NOTHING:
        Path(FILE_NAME).write_text('origins = ["https://a.example"]\n[[fees]]\npercent = "1"\n')
        assert load({}, {variable: empty}) == load({}, {}), "what the file says still holds"
    else:
        assert variable in told({variable: empty})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "wrong", ["''", "true", "-1", "0.5", "[[]]", "[1]", "{ a = 1 }", "1979-05-27", "'\\u0000'"]
)
def test_what_a_file_cannot_mean_is_refused_with_its_place(name: str, wrong: str) -> None:
    Path(FILE_NAME).write_text(f"{name} = {wrong.replace(chr(39), chr(34))}\n")
    try:
        value = getattr(load({}, {})[0], name)
    except SettingsError as fault:
        assert FILE_NAME in str(fault) or name in str(fault)  # noqa: PT017 - some of these fit some settings
    else:
        assert name in MAY_BE_NOTHING or name == "exchange_spread_percent", value


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://chat.example", "https://chat.example"),
        ("https://chat.example/", "https://chat.example"),
        ("HTTPS://Chat.Example", "https://chat.example"),
        ("https://chat.example:443", "https://chat.example"),
        ("http://chat.example:80/", "http://chat.example"),
        ("https://chat.example:80", "https://chat.example:80"),
        (" https://chat.example:8443 ", "https://chat.example:8443"),
        ("http://[0:0::1]:8802", "http://[::1]:8802"),
        ("http://192.168.1.5:8802", "http://192.168.1.5:8802"),
        ("https://xn--caf-dma.example", "https://xn--caf-dma.example"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_an_origin_is_what_browsers_send(written: str, meant: str) -> None:
    Path(FILE_NAME).write_text(f"origins = [{written!r}]\n")
    assert load({}, {})[0].origins == (meant,)
    assert load({}, {"TUPPENCE_ORIGINS": f"{written}, {meant}"})[0].origins == (meant,)


@pytest.mark.parametrize(
    "written",
    [
        "chat.example", "chat.example:443", "*", "null", "//chat.example", "https://", "https://*.example",
        "https://chat.example/app", "https://chat.example?x", "https://me@chat.example",
        "https://chat.example:",
        "https://chat.example:port", "https://chat.example:99999", "wss://chat.example",
        "https://café.example",
        "https://chat example", "https://[::1", "https://-a.example", "https://[nonsense]",
         "file:///tmp/x.html",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_refused_with_an_example(written: str) -> None:
    said = told({"TUPPENCE_ORIGINS": written})
    assert "https://chat.example.org" in said
    assert repr(written) in said


@given(st.text(max_size=30) | st.from_regex(r"[a-zA-Z:/\[\].0-9@?#-]{0,30}", fullmatch=True))
def test_an_origin_read_twice_is_the_same_and_nothing_is_a_fault(text: str) -> None:
    try:
        read = load({"origins": [text]}, {})[0].origins
    except SettingsError:
        return
    assert load({"origins": list(read)}, {})[0].origins == read


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("[::1]", "::1"), ("0:0:0:0:0:0:0:1", "::1"), ("LocalHost", "localhost"), (" 0.0.0.0 ", "0.0.0.0"),
        ("chat.example.org", "chat.example.org"), ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)  # fmt: skip
def test_a_host_is_an_address_or_a_name(written: str, meant: str) -> None:
    assert load({"host": written}, {})[0].host == meant


@pytest.mark.parametrize(
    "written",
    ["*", "http://localhost", "localhost:8802", "127.0.0.1:8802", "256.0.0.1", "127.1", "a b", "-", "1"],
)
def test_what_is_no_host_is_refused_with_an_example(written: str) -> None:
    assert "127.0.0.1" in told(host=written)


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "http://127.0.0.1:8802"), ("::", "http://[::1]:8802")])
def test_the_address_to_show_can_be_opened_where_every_address_is_listened_on(host: str, url: str) -> None:
    assert load({"host": host}, {})[0].base_url == url


def test_what_has_one_meaning_is_read_in_any_dress() -> None:
    env = {"LOG_LEVEL": " INFO ", "REGISTRATION": "Closed", "CURRENCIES": "eur, EUR ,usd", "PORT": " 80 "}
    settings, _ = load({}, {ENV_PREFIX + name: value for name, value in env.items()})
    assert (settings.log_level, settings.registration, settings.port) == ("info", "closed", 80)
    assert settings.currencies == ("EUR", "USD")
    assert load({"tls_key": "~/k", "tls_certificate": "~/c"}, {})[0].tls_key == Path.home() / "k"


def test_numbers_have_an_upper_bound_too() -> None:
    for name in ("session_days", "connections_per_user", "password_workers", "password_memory_kib", "port"):
        assert "it is at most" in told({ENV_PREFIX + name.upper(): "9" * 18})


def test_a_directory_named_in_the_working_directory_s_file_keeps_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    Path(FILE_NAME).write_text('data = "there"\nport = 1\nsession_days = 1\n')
    (tmp_path / "there" / FILE_NAME).write_text("port = 2\n")
    settings, origins = load({}, {})
    assert (settings.data, settings.port, settings.session_days) == (Path("there"), 2, 1)
    assert origins["port"] == f"there/{FILE_NAME}"
    assert load({"data": Path("data")}, {})[0].port == 1, "a flag still wins"


def test_a_file_that_sends_away_from_its_own_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE_NAME).write_text('data = "elsewhere"\n')
    assert "another directory than the one that this file is in" in told()
    (tmp_path / "data" / FILE_NAME).write_text('data = "./data"\n')
    assert load({}, {})[0].data == Path("data")


def test_a_file_is_read_as_editors_write_it_and_an_unreadable_one_is_named(tmp_path: Path) -> None:
    Path(FILE_NAME).write_bytes(b"\xef\xbb\xbfport = 9\r\nhost = '::1'\r\n")
    assert (load({}, {})[0].port, load({}, {})[0].host) == (9, "::1")
    Path(FILE_NAME).write_bytes("port = 9".encode("utf-16"))
    assert "save it as UTF-8" in told()
    Path(FILE_NAME).write_text("a = " + "[" * 100_000)
    assert f"{FILE_NAME}: not TOML" in told()
    Path(FILE_NAME).unlink()
    Path(FILE_NAME).mkdir()
    assert f"{FILE_NAME}: cannot be read" in told()
