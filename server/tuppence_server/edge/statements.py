"""GET /v1/statement: a person's statement as a file that may be long, sent as fast as it is taken.

It holds one piece of lines in memory, and nothing of the store while the reader takes its time. Where the
lines turn out not to add up, it is cut off: a statement without its last line is not whole.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tuppence_protocol.errors import Refusal
from tuppence_protocol.limits import INTEGER_MAX
from tuppence_server.admin.refusals import Refused
from tuppence_server.reports.statement import Renderer, as_csv, as_json, open_statement
from tuppence_server.store.contract import MoneyReads

AT_ONCE_PER_PERSON_MAX: Final = 2
TOO_MANY: Final = Refusal("rate_limited", "Two statements are being sent to you already.", retry_ms=2_000)
NO_PARAMETER: Final = "There is no such parameter; there are currency, from, to and format."
_PARAMETERS: Final = frozenset({"currency", "from", "to", "format"})
_FORMATS: Final[dict[str, tuple[Renderer, str, str]]] = {
    "csv": (as_csv, "text/csv; charset=utf-8; header=present", "csv"),
    "json": (as_json, "application/jsonl", "jsonl"),
}
_DIGITS_MAX: Final = len(str(INTEGER_MAX))


class Statements:
    """Writes statements, and knows how many each person is being sent."""

    def __init__(self, store: MoneyReads) -> None:
        self._store = store
        self._sending: Counter[str] = Counter()

    async def of(self, user: str, asked: dict[str, str]) -> Response:
        """A person's, by id, for `currency`, `from` (ms, inclusive), `to` (ms, exclusive),
        `format` csv or json."""
        for name in asked:
            if name not in _PARAMETERS:
                raise Refused(Refusal("bad_frame", NO_PARAMETER, f"$.{name[:40]}"))
        chosen = _FORMATS.get(asked.get("format", "csv"))
        if chosen is None:
            raise Refused(Refusal("bad_frame", "The format is csv or json.", "$.format"))
        since, until = _moment(asked.get("from"), "$.from"), _moment(asked.get("to"), "$.to")
        if self._sending[user] >= AT_ONCE_PER_PERSON_MAX:
            raise Refused(TOO_MANY)
        opened = await open_statement(self._store, user, asked.get("currency", ""), since, until)
        if isinstance(opened, Refusal):
            raise Refused(Refusal(opened.code, opened.message, "$.currency"))
        render, media, suffix = chosen
        headers = {
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            "content-disposition": f'attachment; filename="statement-{opened.currency}.{suffix}"',
        }
        self._sending[user] += 1
        sent = _Sent(render(self._store, opened), headers=headers, media_type=media)
        sent.over = partial(self._sent, user)
        return sent

    def _sent(self, user: str) -> None:
        self._sending[user] -= 1
        if not self._sending[user]:
            del self._sending[user]


class _Sent(StreamingResponse):
    """A response that tells when it is over, however it ended."""

    over: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.over()


def _moment(text: str | None, field: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX and int(text) <= INTEGER_MAX):
        raise Refused(Refusal("bad_frame", "A moment is in ms since the epoch.", field))
    return int(text)
