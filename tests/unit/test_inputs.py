"""What is typed at the command line: each form of a day is that whole day, and what cannot be is told,
never guessed."""

import io
import sys
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from tuppence_server.admin.credentials import handle_meant
from tuppence_server.cli.inputs import currency_of, new_password, period_ms
from tuppence_server.cli.output import FAILED, USAGE, counted, program

DAY_MS = 86_400_000
DAYS = st.dates(date(1970, 1, 1), date(9999, 12, 31))
FORMS = st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%G-W%V-%u", "%GW%V%u", " %Y-%m-%d "])


def written(day: date, form: str) -> str:
    """A day in a form of ISO 8601, with four digits of a year on every platform."""
    iso = day.isocalendar()
    return (
        form.replace("%Y", f"{day.year:04}").replace("%m", f"{day.month:02}").replace("%d", f"{day.day:02}")
        .replace("%G", f"{iso.year:04}").replace("%V", f"{iso.week:02}").replace("%u", str(iso.weekday))
    )  # fmt: skip


@given(DAYS, FORMS, FORMS)
def test_a_day_is_meant_whole_in_every_form(day: date, first: str, last: str) -> None:
    if day.isocalendar().year > 9999:
        return
    start = (day - date(1970, 1, 1)).days * DAY_MS
    assert period_ms(written(day, first), written(day, last)) == (start, start + DAY_MS)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(9998, 12, 31)),  # noqa: DTZ001 - the zone is drawn beside it
    st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(
        lambda ahead: timedelta(minutes=ahead // timedelta(minutes=1))
    ),
)
def test_a_moment_is_that_moment_to_the_millisecond_at_both_ends(when: datetime, ahead: timedelta) -> None:
    there = when.replace(tzinfo=timezone(ahead))
    ms = (there - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert period_ms(there.isoformat(), None) == (ms, None)
    assert period_ms(None, there.isoformat()) == (None, ms)


@given(st.text(max_size=30) | st.from_regex(r"[0-9TWZ:+\-. ]{1,26}", fullmatch=True), st.booleans())
def test_whatever_is_typed_is_a_moment_or_is_refused_as_usage(text: str, at_end: bool) -> None:
    codes = []
    try:
        found = period_ms(*((None, text) if at_end else (text, None)))
    except typer.Exit as ended:
        codes.append(ended.exit_code)
    else:
        assert 0 <= found[at_end] <= (date(9999, 12, 31) - date(1969, 12, 31)).days * DAY_MS
    assert codes in ([], [USAGE])


@pytest.mark.parametrize(
    ("first", "last"),
    [("2026-02-02", "2026-02-01"), ("2026-02-01T10:00", "2026-02-01T10:00"), ("20260203", "2026-W05-7")],
)
def test_a_range_turned_round_is_told(first: str, last: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        period_ms(first, last)
    assert ended.value.exit_code == USAGE
    assert f"--from {first} is not before --to {last}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["", "today", "2026-13-01", "1969-12-31", "31.12.2026", "0001-01-01", "\uff12026-01-01"]
)
def test_what_is_no_day_is_told_with_what_is_accepted(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for period in ((text, None), (None, text)):
        with pytest.raises(typer.Exit):
            period_ms(*period)
        assert "expected a day such as 2026-11-01" in capsys.readouterr().err


def test_handles_and_currencies_are_taken_as_people_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert [handle_meant(text) for text in ("alice", "@alice", " @Alice ")] == ["alice"] * 3
    assert [currency_of(text) for text in ("EUR", "eur", " Eur ")] == ["EUR"] * 3
    for text in ("EURO", "", "€", "ZZZ"):
        with pytest.raises(typer.Exit) as ended:
            currency_of(text)
        assert ended.value.exit_code == FAILED
        assert "is not an ISO 4217 code" in capsys.readouterr().err


class Piped(io.StringIO):
    """A standard input of bytes."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self.buffer = io.BytesIO(raw)


@pytest.mark.parametrize(
    "around", [b"%s", b"%s\n", b"%s\r\n", b"\xef\xbb\xbf%s\r\n", b"\xef\xbb\xbf%s", b"%s\nmore\n"]
)
def test_a_password_is_the_same_whatever_wrote_the_line(
    around: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for word in ("correct horse", "  spaces at both ends ", "größer"):
        monkeypatch.setattr("sys.stdin", Piped(around % word.encode()))
        assert new_password(from_stdin=True) == word
    monkeypatch.setenv("TUPPENCE_PASSWORD", (around % b"correct horse").decode().split("\nmore")[0])
    assert new_password(from_stdin=False) == "correct horse"


@pytest.mark.parametrize("raw", [b"\xff\xfec\x00o\x00", b"\xfe\xff\x00c", b"caf\xe9 au lait\n"])
def test_a_password_in_another_encoding_is_told(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Piped(raw))
    with pytest.raises(typer.Exit) as ended:
        new_password(from_stdin=True)
    assert ended.value.exit_code == USAGE


# --- how the command line calls itself ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "venv", "on_path", "called"),
    [
        ("clone", "clone/.venv", False, ".venv/bin/tuppence"),
        ("clone", "clone/.venv", True, "tuppence"),
        ("elsewhere", "my clone/.venv", False, "'{root}/my clone/.venv/bin/tuppence'"),
    ],
)
def test_a_command_that_is_printed_can_be_typed_where_it_was_printed(
    tmp_path, monkeypatch, here, venv, on_path, called
):
    (tmp_path / here).mkdir()
    bin_ = tmp_path / venv / "bin"
    bin_.mkdir(parents=True)
    (bin_ / "tuppence").touch(0o755)
    monkeypatch.chdir(tmp_path / here)
    monkeypatch.setattr(sys, "executable", str(bin_ / "python"))
    monkeypatch.setenv("PATH", str(bin_) if on_path else str(tmp_path))
    assert program() == called.format(root=tmp_path)


def test_one_is_counted_as_one():
    assert [counted(number, "event") for number in (0, 1, 2)] == ["0 events", "1 event", "2 events"]
