"""Rates are exact, come from one source each, and are refused rather than guessed at."""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tuppence_protocol.errors import Refusal
from tuppence_server.config.settings import Settings
from tuppence_server.domain.pay.limits import DAY_MS
from tuppence_server.exchange.ecb import BYTES_MAX, NotEcb, read_sheet
from tuppence_server.exchange.sources import (
    LOOK_MS,
    NO_RATES,
    OLD_RATES,
    EcbRates,
    FirstOf,
    NoRateSource,
    TableRates,
    make_rates,
)

HEAD = (
    '<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"'
    ' xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">'
)
DAILY = f"""<?xml version="1.0" encoding="UTF-8"?>
{HEAD}
	<gesmes:subject>Reference rates</gesmes:subject>
	<gesmes:Sender>
		<gesmes:name>European Central Bank</gesmes:name>
	</gesmes:Sender>
	<Cube>
		<Cube time='2026-01-30'>
			<Cube currency='USD' rate='1.1919'/>
			<Cube currency='JPY' rate='183.59'/>
			<Cube currency='GBP' rate='0.86735'/>
		</Cube>
	</Cube>
</gesmes:Envelope>
"""
PUBLISHED = 1_769_785_200_000
"""2026-01-30 16:00 CET, a Friday."""
HOUR = 3_600_000
STALE = 128 * HOUR


def written(path: Path, text: str | bytes, mtime_s: int = 1) -> Path:
    """A file whose change shows, however coarse the disk's clock is."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (mtime_s, mtime_s))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "ecb.xml", DAILY)


# --- the table -----------------------------------------------------------------------------------------


def table(rates: dict[str, str]) -> TableRates:
    return TableRates({(pair[:3], pair[4:]): Fraction(rate) for pair, rate in rates.items()})


@pytest.mark.parametrize(
    ("sell", "buy", "rate"),
    [
        ("EUR", "USD", Fraction("1.0842")),
        ("USD", "EUR", 1 / Fraction("1.0842")),
        ("USD", "JPY", Fraction(160) / Fraction("1.0842")),
        ("JPY", "USD", Fraction("1.0842") / 160),
        ("GBP", "USD", Fraction("1.0842") / Fraction("0.85")),
        ("GBP", "KWD", None),  # by way of two
        ("USD", "KWD", Fraction("0.3")),
        ("EUR", "KWD", Fraction("0.3") * Fraction("1.0842")),
        ("EUR", "CHF", None),
        ("CHF", "EUR", None),
        ("CHF", "SEK", None),
    ],
)
def test_a_table_tells_direct_inverse_and_cross_rates_exactly(
    sell: str, buy: str, rate: Fraction | None
) -> None:
    rates = table({"EUR/USD": "1.0842", "EUR/JPY": "160", "EUR/GBP": "0.85", "USD/KWD": "0.3"})
    assert rates.rate(sell, buy, 0) == rate


def test_what_was_given_comes_before_what_follows_and_the_first_way_before_the_second() -> None:
    rates = table({"EUR/USD": "1.1", "EUR/JPY": "165", "USD/JPY": "150.1"})
    assert rates.rate("USD", "JPY", 0) == Fraction("150.1")
    rates = table({"EUR/USD": "1.1", "EUR/GBP": "0.85", "USD/JPY": "150", "GBP/JPY": "194"})
    assert rates.rate("EUR", "JPY", 0) == 165


@given(
    st.dictionaries(
        st.sampled_from(["EUR/USD", "EUR/JPY", "GBP/USD", "JPY/CHF", "CHF/EUR"]),
        st.integers(1, 10**9).map(str),
        min_size=1,
    ),
    st.sampled_from(["EUR", "USD", "JPY", "GBP", "CHF"]),
    st.sampled_from(["EUR", "USD", "JPY", "GBP", "CHF"]),
)
def test_a_table_knows_a_pair_both_ways_or_not_at_all(rates: dict[str, str], one: str, other: str) -> None:
    source = table(rates)
    there, back = source.rate(one, other, 0), source.rate(other, one, 0)
    assert (there is None) == (back is None)
    direct = {f"{one}/{other}", f"{other}/{one}"} & rates.keys()
    if direct:
        assert there is not None
        assert back is not None
        assert there * back == 1


# --- the file ------------------------------------------------------------------------------------------


def test_a_file_of_the_bank_is_read_exactly() -> None:
    sheet = read_sheet(DAILY.encode())
    assert (sheet.day, sheet.published_at) == ("2026-01-30", PUBLISHED)
    rates = {"USD": "1.1919", "JPY": "183.59", "GBP": "0.86735"}
    assert sheet.rates == {"EUR": 1} | {currency: Fraction(rate) for currency, rate in rates.items()}


@pytest.mark.parametrize(
    "text",
    [
        DAILY.replace("UTF-8", "utf-8"),
        DAILY.replace("UTF-8", "nonsense"),
        DAILY.replace("gesmes", "g"),
        DAILY.replace(HEAD, "<gesmes:Envelope xmlns:gesmes='x'>"),
        DAILY.replace("<Cube>", "<!-- a comment --><?a thing?><Cube>"),
        DAILY.replace("\n", "\r\n"),
        DAILY.replace("1.1919", "&#49;.1919"),
        "\ufeff" + DAILY,
    ],
)
def test_the_same_written_otherwise_is_the_same(text: str) -> None:
    assert read_sheet(text.encode()) == read_sheet(DAILY.encode())


BOMB = '<!DOCTYPE x [<!ENTITY a "1"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (DAILY, "", "it is not XML: "),
        (DAILY, "EUR/USD 1.1", "it is not XML: "),
        (DAILY, '{"rates": {}}', "it is not XML"),
        (DAILY, "<html></html>", "it has no day with rates"),
        ("</gesmes:Envelope>", "", "it is not XML: "),
        ("European", "\udcff", "it is not XML: "),
        (HEAD, BOMB + HEAD, "it has a DOCTYPE"),
        (HEAD, "<!DOCTYPE x>" + HEAD, "it has a DOCTYPE"),
        (HEAD, '<!DOCTYPE x SYSTEM "file:///etc/passwd">' + HEAD, "it has a DOCTYPE"),
        (HEAD, '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://localhost/"> %a;]>' + HEAD, "it has a DOCTYPE"),
        ("1.1919", "&a;", "it is not XML: "),
        ("European", "&a;", "it is not XML: "),
        (" time='2026-01-30'", "", "its day is {}"),
        ("2026-01-30", "20260130", "its day is {'time': '20260130'}"),
        ("2026-01-30", "2026-W05-5", "its day is {'time': '2026-W05-5'}"),
        ("2026-01-30", "2026-02-30", "its day is '2026-02-30'"),
        ("2026-01-30", "0000-01-01", "its day is '0000-01-01'"),
        ("'2026-01-30'", "'2026-01-30' zone='CET'", "its day is {"),
        ("'1.1919'", "'1.1919' multiplier='100'", "a rate of it is {"),
        ("rate='1.1919'", "", "a rate of it is {'currency': 'USD'}"),
        ("currency='USD'", "", "a rate of it is {'rate': '1.1919'}"),
        ("1.1919", "0", "a rate of it is {"),
        ("1.1919", "0.0000", "a rate of it is {"),
        ("1.1919", "-1.1919", "a rate of it is {"),
        ("1.1919", "1,1919", "a rate of it is {"),
        ("1.1919", "1e3", "a rate of it is {"),
        ("1.1919", "N/A", "a rate of it is {"),
        ("1.1919", "", "a rate of it is {"),
        ("1.1919", "1/3", "a rate of it is {"),
        ("1.1919", "9" * 10, "a rate of it is {"),
        ("USD", "usd", "a rate of it is {"),
        ("USD", "DOLLAR", "a rate of it is {"),
        ("USD", "GBP", "GBP is there twice"),
        ("USD", "EUR", "EUR is there twice"),
        ("</Cube>\n\t</Cube>", "</Cube><Cube time='2026-01-29'/></Cube>", "it has more than one day"),
        ("</Cube>\n", "</Cube>" + " " * BYTES_MAX + "\n", f"it is longer than {BYTES_MAX} bytes"),
        ("Envelope", "Folder", "it has no day with rates"),
        ("<Cube>", "<Box><Cube>", "it is not XML: "),
    ],
)
def test_anything_else_is_refused(old: str, new: str, problem: str) -> None:
    assert old in DAILY
    with pytest.raises(NotEcb) as fault:
        read_sheet(DAILY.replace(old, new).encode("utf-8", "surrogateescape"))
    assert problem in str(fault.value)


def test_a_day_without_rates_is_refused() -> None:
    text = f"{HEAD}<Cube><Cube time='2026-01-30'></Cube></Cube></gesmes:Envelope>"
    with pytest.raises(NotEcb, match="it has no day with rates"):
        read_sheet(text.encode())


@given(st.binary(max_size=200))
def test_bytes_that_are_no_file_of_the_bank_are_never_more_than_refused(data: bytes) -> None:
    with pytest.raises(NotEcb):
        read_sheet(data)


@given(st.integers(0, len(DAILY) - 1), st.integers(0, 255))
def test_one_wrong_byte_is_refused_or_read_as_what_it_says(at: int, byte: int) -> None:
    data = bytearray(DAILY.encode())
    data[at] = byte
    try:
        sheet = read_sheet(bytes(data))
    except NotEcb:
        return
    assert all(rate > 0 for rate in sheet.rates.values())


# --- the file as a source ------------------------------------------------------------------------------


def test_a_file_tells_every_pair_by_way_of_the_euro(path: Path) -> None:
    rates = EcbRates(path, 128)
    usd, jpy = Fraction("1.1919"), Fraction("183.59")
    for sell, buy, rate in (
        ("EUR", "USD", usd), ("USD", "EUR", 1 / usd), ("USD", "JPY", jpy / usd),
        ("JPY", "USD", usd / jpy), ("EUR", "KWD", None), ("KWD", "USD", None),
    ):  # fmt: skip
        assert rates.rate(sell, buy, PUBLISHED) == rate


def test_rates_are_used_until_they_are_stale_and_that_is_logged_once(path: Path) -> None:
    rates = EcbRates(path, 128)
    assert isinstance(rates.rate("EUR", "USD", PUBLISHED + STALE - 1), Fraction)
    with capture_logs() as logs:
        for at in (0, 1, 5 * LOOK_MS, STALE):
            assert rates.rate("EUR", "USD", PUBLISHED + STALE + at) == OLD_RATES
    assert [(line["event"], line["problem"]) for line in logs] == [
        ("rates_fault", "the rates of 2026-01-30 are too old")
    ]
    assert rates.rate("EUR", "KWD", PUBLISHED + STALE) is None, "newer rates would not tell it either"


def test_rates_from_before_they_are_published_may_be_a_day_ahead_and_no_more(path: Path) -> None:
    rates = EcbRates(path, 128)
    assert isinstance(rates.rate("EUR", "USD", PUBLISHED - DAY_MS), Fraction)
    with capture_logs() as logs:
        for before in (1, 2 * LOOK_MS):
            assert rates.rate("EUR", "USD", PUBLISHED - DAY_MS - before) == NO_RATES
    assert [line["problem"] for line in logs] == ["the rates are of 2026-01-30, which is yet to come"]


def test_a_changed_file_is_read_again_a_second_later(path: Path) -> None:
    rates = EcbRates(path, 128)
    now = PUBLISHED + HOUR
    assert rates.rate("EUR", "USD", now) == Fraction("1.1919")
    written(path, DAILY.replace("1.1919", "1.2"), 2)
    assert rates.rate("EUR", "USD", now + LOOK_MS - 1) == Fraction("1.1919")
    assert rates.rate("EUR", "USD", now + LOOK_MS) == Fraction("1.2")


def test_an_unchanged_file_is_looked_at_once_a_second_and_read_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    look, read = Path.stat, Path.open

    def counted_look(self: Path, **named: Any) -> Any:
        looks.append("look")
        return look(self, **named)

    def counted_read(self: Path, *args: Any, **named: Any) -> Any:
        looks.append("read")
        return read(self, *args, **named)

    monkeypatch.setattr(Path, "stat", counted_look)
    monkeypatch.setattr(Path, "open", counted_read)
    rates = EcbRates(path, 128)
    for at in range(0, 3 * LOOK_MS, 100):
        rates.rate("EUR", "USD", PUBLISHED + at)
    assert looks == ["look", "read", "look", "look"]


def test_a_clock_that_was_set_back_stops_nothing(path: Path) -> None:
    rates = EcbRates(path, 128)
    rates.rate("EUR", "USD", PUBLISHED + 10 * HOUR)
    written(path, DAILY.replace("1.1919", "1.2"), 2)
    assert rates.rate("EUR", "USD", PUBLISHED + HOUR) == Fraction("1.2")


def test_a_file_that_is_not_there_refuses_and_is_found_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "ecb.xml"
    rates = EcbRates(path, 128)
    with capture_logs() as logs:
        for at in range(0, 10 * LOOK_MS, LOOK_MS):
            assert rates.rate("EUR", "USD", PUBLISHED + at) == NO_RATES
    assert [(line["event"], line["log_level"], line["problem"], line["path"]) for line in logs] == [
        ("rates_fault", "error", "it cannot be read: No such file or directory", str(path))
    ]
    written(path, DAILY)
    with capture_logs() as logs:
        assert rates.rate("EUR", "USD", PUBLISHED + 10 * LOOK_MS) == Fraction("1.1919")
    assert [(line["event"], line["day"], line["currencies"]) for line in logs] == [
        ("rates_read", "2026-01-30", 4)
    ]
    path.unlink()
    with capture_logs() as logs:
        assert rates.rate("EUR", "USD", PUBLISHED + 11 * LOOK_MS) == NO_RATES
        assert rates.rate("EUR", "USD", PUBLISHED + 12 * LOOK_MS) == NO_RATES
    assert len(logs) == 1, "it went away anew"


def test_a_file_that_breaks_refuses_and_is_not_read_until_it_changes(path: Path) -> None:
    rates = EcbRates(path, 128)
    assert isinstance(rates.rate("EUR", "USD", PUBLISHED), Fraction)
    written(path, DAILY[:400], 2)
    with capture_logs() as logs:
        for at in range(LOOK_MS, 5 * LOOK_MS, 250):
            assert rates.rate("EUR", "USD", PUBLISHED + at) == NO_RATES
    assert len(logs) == 1
    assert logs[0]["problem"].startswith("it is not XML: ")
    written(path, DAILY, 3)
    assert isinstance(rates.rate("EUR", "USD", PUBLISHED + 6 * LOOK_MS), Fraction)


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        with capture_logs() as logs:
            assert EcbRates(path, 128).rate("EUR", "USD", PUBLISHED) == NO_RATES
        assert [line["problem"] for line in logs] == ["it is not a regular file"]


def test_no_more_of_a_file_is_read_than_one_can_have(tmp_path: Path) -> None:
    path = tmp_path / "endless"
    with path.open("wb") as file:
        file.truncate(10**12)  # sparse
    with capture_logs() as logs:
        assert EcbRates(path, 128).rate("EUR", "USD", PUBLISHED) == NO_RATES
    assert [line["problem"] for line in logs] == [f"it is longer than {BYTES_MAX} bytes"]


def test_refusals_are_for_people_and_may_be_tried_again() -> None:
    for refusal in (NO_RATES, OLD_RATES):
        assert refusal.code == "rate_unavailable"
        assert not refusal.final
        assert refusal.message.endswith(".")
        assert "/" not in refusal.message


# --- several -------------------------------------------------------------------------------------------


class Fixed:
    def __init__(self, found: Fraction | Refusal | None) -> None:
        self.found = found

    def rate(self, sell: str, buy: str, now: int) -> Fraction | Refusal | None:
        return self.found


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], None), ([None], None), ([None, Fraction(2)], 2), ([Fraction(1), Fraction(2)], 1),
        ([OLD_RATES, Fraction(2)], 2), ([None, OLD_RATES], OLD_RATES), ([OLD_RATES, None], OLD_RATES),
        ([OLD_RATES, NO_RATES], OLD_RATES),
    ],
)  # fmt: skip
def test_the_first_source_with_a_rate_counts(
    found: list[Fraction | Refusal | None], expected: Fraction | Refusal | None
) -> None:
    assert FirstOf(map(Fixed, found)).rate("EUR", "USD", 0) == expected


def test_sources_are_made_as_the_settings_say(path: Path) -> None:
    table_of = {"EUR/USD": "1.195", "EUR/KWD": "0.3"}
    assert isinstance(make_rates(Settings()), NoRateSource)
    assert make_rates(Settings()).rate("EUR", "USD", 0) is None
    assert isinstance(make_rates(Settings(exchange_rates=table_of)), TableRates)
    file = make_rates(Settings(exchange_rates_file=path, exchange_stale_hours=2))
    assert file.rate("EUR", "USD", PUBLISHED + 2 * HOUR - 1) == Fraction("1.1919")
    assert file.rate("EUR", "USD", PUBLISHED + 2 * HOUR) == OLD_RATES
    both = make_rates(Settings(exchange_rates=table_of, exchange_rates_file=path))
    assert both.rate("EUR", "USD", PUBLISHED) == Fraction("1.195"), "the table before the file"
    assert both.rate("EUR", "GBP", PUBLISHED) == Fraction("0.86735")
    assert both.rate("GBP", "KWD", PUBLISHED) is None, "no rate is made of two sources"
    assert both.rate("EUR", "USD", PUBLISHED + STALE) == Fraction("1.195"), "what is fixed never ages"
    assert both.rate("EUR", "GBP", PUBLISHED + STALE) == OLD_RATES
