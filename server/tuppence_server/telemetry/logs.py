"""Structured logs: event names and random ids; never names, texts, amounts or tokens.

The one address that is told is that of a failed login, unless `log_addresses` is off.
"""

import logging
import sys
from typing import Final

import structlog

from tuppence_server.config.settings import Settings

WINDOW_S: Final = 60.0
LINES_PER_WINDOW_MAX: Final = 5


def configure(settings: Settings) -> None:
    """Log to stderr, as text for a person or JSON for a machine."""
    json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    level = getattr(logging, settings.log_level.upper())
    renderer = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # lines of code alone: a frame's values may be somebody's
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    handler.addFilter(Sparing())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tuppence").setLevel(level)
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)


class Sparing(logging.Filter):
    """Lets each place in a library write a few lines a minute, since what it warns of may be what a peer
    sends.

    Our own lines all pass: each is about somebody who is known, or is paced. What was left out is told with
    the next.
    """

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written."""
        if record.name.startswith("tuppence"):
            return True
        place = (record.pathname, record.lineno)
        since, count = self._written.get(place, (record.created, 0))
        if record.created - since >= WINDOW_S:
            if count > LINES_PER_WINDOW_MAX:
                record.msg = f"{record.msg} [{count - LINES_PER_WINDOW_MAX} more of these were left out]"
            since, count = record.created, 0
        self._written[place] = (since, count + 1)
        return count < LINES_PER_WINDOW_MAX


def silence() -> None:
    """Log nothing: a command that runs and ends says itself what it did and what went wrong."""
    structlog.configure(processors=[_drop])
    logging.getLogger().handlers[:] = [logging.NullHandler()]


def _drop(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    del logger, method, event
    raise structlog.DropEvent
