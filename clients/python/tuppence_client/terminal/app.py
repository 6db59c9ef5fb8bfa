"""The terminal client: incoming lines above, the prompt below, the toolbar tells how things stand."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style

from tuppence_client.client import Client
from tuppence_client.errors import StreamOverflow
from tuppence_client.notices import Reset, Resumed, State, StateChanged
from tuppence_protocol.events import TypingNotice
from tuppence_protocol.limits import TYPING_MS

from .actions import Actions
from .commands import Plain, parse
from .complete import LineCompleter
from .lines import place_title, plain
from .style import STYLES, Line

_STYLE = Style.from_dict(STYLES)


class Terminal:
    """One person's screen."""

    def __init__(self, me: Client, *, interactive: bool) -> None:
        self._me = me
        self._interactive = interactive
        self._depth = ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None
        self._typing: dict[str, tuple[str, float]] = {}
        self._away = False
        self._session: PromptSession[str] | None = None
        self.actions = Actions(me, self.show)

    def show(self, line: Line) -> None:
        """Print a line above the prompt."""
        if self._interactive:
            print_formatted_text(FormattedText(line), style=_STYLE, color_depth=self._depth)
        else:
            sys.stdout.write(plain(line) + "\n")
            sys.stdout.flush()

    async def run(self) -> None:
        """Until the person leaves; raises `ConnectionEnded` when the connection ends for good."""
        self.actions.greet()
        tasks = [
            asyncio.create_task(work) for work in (self._read(), self._show_events(), self._show_notices())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- in -----------------------------------------------------------------------------------------

    async def _read(self) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            async for text in self._prompts() if self._interactive else _piped():
                command = parse(text)
                if command == Plain("quit"):
                    return
                if command is None:
                    continue
                task = asyncio.create_task(self.actions.run(command))
                running.add(task)
                task.add_done_callback(running.discard)
                if self._interactive and self._me.state is not State.ONLINE:
                    self.show([("class:soft", "── this goes out when the connection is back ──")])
                else:
                    await asyncio.wait([task], timeout=None if not self._interactive else 1.0)
        finally:
            if running:
                self.show(
                    [("class:error", f"✗ {len(running)} not confirmed; it may or may not have arrived")]
                )
            for task in running:
                task.cancel()

    async def _prompts(self) -> AsyncIterator[str]:
        self._session = PromptSession(
            completer=LineCompleter(self._me),
            complete_while_typing=True,
            style=_STYLE,
            color_depth=self._depth,
            bottom_toolbar=self._toolbar,
            refresh_interval=1.0,
            erase_when_done=True,
        )
        with patch_stdout(raw=True):
            while True:
                try:
                    yield await self._session.prompt_async(self._prompt)
                except KeyboardInterrupt:
                    continue
                except EOFError:
                    return

    def _prompt(self) -> FormattedText:
        question = self.actions.till.question
        parts: Line = [("class:sandbox", "sandbox: play money ")] if self._me.mode == "sandbox" else []
        parts.append(("class:me", self.actions.title()))
        parts.append(
            ("class:soft", " > ") if question is None else ("class:out", f" {question.text}? y/n > ")
        )
        return FormattedText(parts)

    # --- out ----------------------------------------------------------------------------------------

    async def _show_events(self) -> None:
        events = self._me.events()
        while True:
            try:
                await self.actions.show_event(await anext(events))
            except StreamOverflow as overflow:
                self.show([("class:error", f"✗ {overflow.missed} lines were too many to show; see /history")])
            except StopAsyncIteration:
                return

    async def _show_notices(self) -> None:
        async for notice in self._me.notices():
            match notice:
                case StateChanged(State.WAITING, ended=ended) if ended is not None and not self._away:
                    self._away = True
                    self.show([("class:soft", f"── {ended.message}; trying again ──")])
                case StateChanged(State.ONLINE):
                    self._away = False
                case Resumed(events=count):
                    self.show([("class:soft", f"── back again, {count} missed ──")])
                case Reset():
                    self.show(
                        [("class:soft", "── back again after a long time; /history shows what was said ──")]
                    )
                case TypingNotice():
                    until = time.monotonic() + TYPING_MS / 1000
                    self._typing[notice.conv] = (self.actions.name(notice.from_), until)
            if self._session is not None:
                self._session.app.invalidate()

    def _toolbar(self) -> FormattedText:
        online = self._me.state is State.ONLINE
        style = "class:bottom-toolbar.good" if online else "class:bottom-toolbar.bad"
        parts: Line = [(style, f" ● {self._me.state.value} "), ("", f" @{self._me.user.handle} ")]
        for money in self._me.balances.values():
            parts.append(("class:bottom-toolbar.money", f" {money.available} {money.currency} "))
        here = self.actions.view
        for view in self._me.conversations.values():
            unread = view.seq - view.read
            if unread > 0 and view is not here:
                parts.append(("class:bottom-toolbar.unread", f" {place_title(view)} {unread} "))
        now = time.monotonic()
        for conv, (who, until) in self._typing.items():
            if until > now and here is not None and conv == here.conv:
                parts.append(("class:bottom-toolbar.soft", f" @{who} is writing… "))
        return FormattedText(parts)


async def _piped() -> AsyncIterator[str]:
    """Lines of a standard input that is no terminal."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line


async def run_terminal(me: Client) -> None:
    """Talk and pay in this terminal until the person leaves; plain lines where it is no terminal."""
    await Terminal(me, interactive=sys.stdin.isatty() and sys.stdout.isatty()).run()
