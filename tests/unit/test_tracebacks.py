"""A fault's traceback tells where it happened and never what the values were;
a command logs nothing at all."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from tuppence_server.config.settings import Settings
from tuppence_server.telemetry.logs import configure, silence

SECRET = "tps_token_and_password_and_text"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**config)


def fail() -> None:
    """A fault with a secret in a frame."""
    token = SECRET
    raise RuntimeError(str(len(token)))


def logged(how: str, form: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is written of a fault, by our own logger or a library's, as on a terminal or for a machine."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure(Settings(log_format=form))  # type: ignore[arg-type]
    try:
        fail()
    except RuntimeError as fault:
        if how == "library":
            logging.getLogger("asyncio").error("it broke", exc_info=fault)
        else:
            structlog.get_logger("tuppence.test").exception("it_broke")
    return stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("how", ["ours", "library"])
def test_a_traceback_has_places_and_no_values(how: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = logged(how, form, monkeypatch)
    assert SECRET not in text
    assert "in fail" in text
    assert "RuntimeError" in text
    if form == "json":
        assert json.loads(text)["level"] == "error"


def test_a_command_logs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", io.StringIO())
    silence()
    structlog.get_logger("tuppence.test").error("it_broke", user="u_1")
    logging.getLogger("asyncio").error("it broke")
    assert (sys.stdout.getvalue(), sys.stderr.getvalue()) == ("", "")  # type: ignore[attr-defined]
