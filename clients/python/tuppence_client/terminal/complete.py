"""Completion: commands, people, conversations, currencies, roles; from what the client knows anyway."""

from collections.abc import Iterable, Iterator
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from tuppence_client.client import Client
from tuppence_protocol.currencies import EXPONENTS

from .help import HELP, NAMES, TOPICS
from .money_commands import PREVIEWED
from .render import place_title
from .render_money import MARKS

_MEANING = {line.split()[0]: meaning for line, meaning in HELP}
_WITH_SUM: Final = {
    "/ask",
    "/pay",
    "/offer",
    "/request",
    "/exchange",
    "/split",
    "/packet",
    "/refund",
    "/faucet",
}
_WITH_PEOPLE: Final = {
    "/pay", "/offer", "/request", "/exchange", "/invite", "/remove", "/role", "/waive",
}  # fmt: skip


class LineCompleter(Completer):
    """Offers what may stand at the cursor."""

    def __init__(self, me: Client) -> None:
        self._me = me

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """The words that go on with what is typed."""
        del complete_event
        text = document.text_before_cursor
        word = text.rsplit(" ", 1)[-1]
        for offered, meaning in self._offers(text, word):
            if offered.lower().startswith(word.lower()) and offered != word:
                yield Completion(offered, start_position=-len(word), display_meta=meaning)

    def _offers(self, text: str, word: str) -> Iterable[tuple[str, str]]:
        if not text.startswith("/"):
            return self._people() if word.startswith("@") else []
        if " " not in text:
            return [(name, _MEANING[name]) for name in NAMES]
        command, *before = text[: len(text) - len(word)].split()
        if command == "/preview":
            inner = text.partition(" ")[2].removeprefix("/")
            return self._previewed() if not before else self._offers(f"/{inner}", word)
        if word.startswith("@"):
            return self._people()
        if command == "/to":
            return [(place_title(view), view.kind) for view in self._me.conversations.values()]
        if command == "/role" and len(before) == 1:
            return [(role, "") for role in ("admin", "member", "reader", "owner")]
        return self._of_money(command, before)

    def _of_money(self, command: str, before: list[str]) -> Iterable[tuple[str, str]]:
        last = before[-1] if before else ""
        amounts = sum(part[:1].isdigit() for part in before)
        if command in _WITH_SUM and last[:1].isdigit() and amounts == 1:
            return self._currencies()
        if command == "/exchange" and amounts == 1:
            return self._currencies() if last == "to" else [("to", "")] if last.isupper() else []
        if command == "/packet" and amounts == 2 and last.isdigit():
            return [("lucky", "shares by luck"), ("equal", "shares alike")]
        if command == "/payments":
            return [(state, "") for state in MARKS] + self._people() + self._currencies()
        if command == "/help" and not before:
            return list(TOPICS.items())
        if command == "/statement" and not before:
            return self._currencies()
        return self._people() if command in _WITH_PEOPLE and not before else []

    def _previewed(self) -> list[tuple[str, str]]:
        return [(name, _MEANING[f"/{name}"]) for name in PREVIEWED]

    def _people(self) -> list[tuple[str, str]]:
        mine = self._me.user.id
        return sorted((f"@{user.handle}", user.name) for user in self._me.people.values() if user.id != mine)

    def _currencies(self) -> list[tuple[str, str]]:
        mine = self._me.balances
        own = [(currency, f"you have {view.available}") for currency, view in mine.items()]
        return own + [(currency, "") for currency in sorted(EXPONENTS) if currency not in mine]
