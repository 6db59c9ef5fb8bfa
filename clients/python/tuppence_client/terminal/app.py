"""The terminal client: incoming lines above, the prompt below, the bar tells how things stand."""

import asyncio
import os
import select
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.application.current import get_app_session
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style

from tuppence_client.client import Client
from tuppence_client.errors import ConnectionEnded, StreamOverflow
from tuppence_client.notices import Notice, Reset, Resumed, State, StateChanged
from tuppence_protocol.limits import TYPING_MS

from .actions import NARROW_COLUMNS, Actions
from .bar import Bar
from .commands import Command, Plain, asks, parse
from .complete import LineCompleter
from .render import plain
from .sanitize import clean
from .style import STYLES, Line
from .words import ended
from .wrap import wrapped

_STYLE = Style.from_dict(STYLES)
LINES_WAITING_MAX: Final = 1_000
COMMAND_S_MAX: Final = 1.0
"""How long a line holds up those behind it; then it goes on by itself."""
OFFLINE_S_MAX: Final = 0.05
"""The same while there is no connection, and the line is for one."""
MENU_ROWS_MAX: Final = 6


@dataclass(eq=False)
class _Typed:
    """A line that was typed, and whether it may have gone out by now."""

    text: str
    command: Command
    hurried: bool
    sent: bool = False


class Terminal:
    """One person's screen."""

    def __init__(self, me: Client, *, interactive: bool) -> None:
        self._me = me
        self._interactive = interactive
        self._depth = ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None
        self._away = False
        self._told_s = 0.0
        self._session: PromptSession[str] | None = None
        self._waiting: asyncio.Queue[_Typed] = asyncio.Queue(LINES_WAITING_MAX)
        self._pending: list[_Typed] = []
        self._running: set[asyncio.Task[None]] = set()
        self.actions = Actions(me, self.show, self._size)
        self.bar = Bar(me, self.actions.name)

    def _size(self) -> tuple[int, int]:
        if not self._interactive:
            return 1_000, 1_000  # a file has room for everything
        size = get_app_session().output.get_size()
        return size.rows, size.columns

    def show(self, line: Line) -> None:
        """Print a line above the prompt."""
        if self._interactive:
            for row in wrapped(line, self._size()[1] - 1):
                print_formatted_text(FormattedText(row), style=_STYLE, color_depth=self._depth)
        else:
            sys.stdout.write(plain(line) + "\n")
            sys.stdout.flush()

    async def run(self) -> int:
        """Until the person leaves, which is 0, or the connection ends for good, which is told and 1."""
        if self._interactive:
            sys.stdout.write("\n" * self._size()[0])  # the prompt stands at the bottom from the first line on
        self.actions.greet()
        tasks = [
            asyncio.create_task(work)
            for work in (self._read(), self._work(), self._show_events(), self._show_notices())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except ConnectionEnded as reason:
            self.show([("class:error", f"✗ {ended(reason)}")])
            return 1
        finally:
            for task in (*tasks, *self._running):
                task.cancel()
            await asyncio.gather(*tasks, *self._running, return_exceptions=True)
            self._tell_pending()
        return 0

    # --- in ---------------------------------------------------------------------------------------

    async def _read(self) -> None:
        more = False
        async for text in self._prompts() if self._interactive else _piped():
            command = parse(text)
            before, more = more, self._interactive and self._more_input()
            hurried = before or more
            if command == Plain("quit"):
                break
            if command is not None:
                typed = _Typed(text, command, hurried)
                self._pending.append(typed)
                await self._waiting.put(typed)
        with suppress(TimeoutError):
            async with asyncio.timeout(COMMAND_S_MAX if self._interactive else None):
                await self._waiting.join()

    def _more_input(self) -> bool:
        """Whether more than one line has come, as none comes from fingers: it was pasted."""
        assert self._session is not None
        keyboard = self._session.app.input
        keys = get_typeahead(keyboard)
        store_typeahead(keyboard, keys)
        return bool(keys or select.select([keyboard.fileno()], [], [], 0)[0])

    async def _work(self) -> None:
        """Do what was typed, in order."""
        while True:
            typed = await self._waiting.get()
            typed.sent = self._me.state is State.ONLINE
            task = asyncio.create_task(self._do(typed))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            pause_s = COMMAND_S_MAX if typed.sent else OFFLINE_S_MAX
            await asyncio.wait([task], timeout=pause_s if self._interactive else None)
            if self._interactive and not typed.sent and not task.done():
                does = "is answered" if asks(typed.command) else "goes out"
                self.show([("class:soft", f"── this {does} when the connection is back ──")])
            if task.done():
                task.result()
            self._waiting.task_done()

    async def _do(self, typed: _Typed) -> None:
        await self.actions.run(typed.command, hurried=typed.hurried)
        self._pending.remove(typed)

    def _tell_pending(self) -> None:
        """Name what is lost with this window."""
        if (question := self.actions.payments.question) is not None:
            self.show([("class:soft", f"── not paid: {question.text} ──")])
        for typed in self._pending:
            text = clean(" ".join(typed.text.split()))
            if typed.sent:
                self.show([("class:error", f"✗ not confirmed, it may have arrived: {text}")])
            else:
                self.show([("class:error", f"✗ not sent: {text}")])

    async def _prompts(self) -> AsyncIterator[str]:
        session: PromptSession[str] = PromptSession(
            completer=LineCompleter(self._me),
            complete_while_typing=Condition(self._completes),
            reserve_space_for_menu=min(MENU_ROWS_MAX, max(1, self._size()[0] // 3)),
            style=_STYLE,
            color_depth=self._depth,
            bottom_toolbar=self._toolbar,
            refresh_interval=1.0,
            erase_when_done=True,
        )
        self._session = session
        session.default_buffer.on_text_changed += self._typing
        # Neither between two prompts nor while a line is printed above one is what is typed echoed.
        keyboard = session.app.input
        keyboard.cooked_mode = keyboard.raw_mode  # type: ignore[method-assign]
        with patch_stdout(raw=True), keyboard.raw_mode():
            while True:
                try:
                    yield await session.prompt_async(self._prompt)
                except KeyboardInterrupt:
                    continue
                except EOFError:
                    return

    def _completes(self) -> bool:
        """Only then are rows kept free below the prompt."""
        text = "" if self._session is None else self._session.default_buffer.document.text_before_cursor
        return text.startswith("/") or text.rsplit(" ", 1)[-1].startswith("@")

    def _typing(self, buffer: Buffer) -> None:
        """Tell the others that one is writing, at most every half of what it holds for."""
        view, now_s = self.actions.view, time.monotonic()
        says = (
            self.actions.payments.question is None and buffer.text != "" and not buffer.text.startswith("/")
        )
        if says and view is not None and view.kind != "self" and now_s - self._told_s > TYPING_MS / 2_000:
            self._told_s = now_s
            self._me.typing(view.conv)

    def _prompt(self) -> FormattedText:
        question = self.actions.payments.question
        narrow = self._interactive and self._size()[1] < NARROW_COLUMNS
        if narrow and question is not None:
            return FormattedText([("class:out", "y/n? > ")])
        play = "sandbox " if narrow else "sandbox: play money "
        parts: Line = [("class:sandbox", play)] if self._me.mode == "sandbox" else []
        parts.append(("class:me", self.actions.title()))
        parts.append(
            ("class:soft", " > ") if question is None else ("class:out", f" {question.text}? y/n > ")
        )
        return FormattedText(parts)

    # --- out --------------------------------------------------------------------------------------

    async def _show_events(self) -> None:
        events = self._me.events()
        while True:
            try:
                event = await anext(events)
                self.bar.said(event)
                await self.actions.show_event(event)
            except StreamOverflow as overflow:
                self.show([("class:error", f"✗ {overflow.missed} lines were too many to show; see /history")])
            except StopAsyncIteration:
                return

    async def _show_notices(self) -> None:
        async for notice in self._me.notices():
            self._tell(notice)
            self.bar.notice(notice)
            if self._session is not None:
                self._session.app.invalidate()

    def _tell(self, notice: Notice) -> None:
        match notice:
            case StateChanged(State.WAITING, ended=reason) if reason is not None and not self._away:
                self._away = True
                self.show([("class:soft", f"── {ended(reason)}; trying again ──")])
            case StateChanged(State.ONLINE):
                self._away = False
                for typed in self._pending:
                    typed.sent = True
            case Resumed(events=count):
                missed = f", {count} missed" if count else ""
                self.show([("class:soft", f"── back again{missed} ──")])
            case Reset():
                self.show(
                    [("class:soft", "── back again after a long time; /history shows what was said ──")]
                )

    def _toolbar(self) -> FormattedText:
        return FormattedText(self.bar.parts(self.actions.view, self.actions.peer, self._size()[1]))


async def _piped() -> AsyncIterator[str]:
    """Lines of a standard input that is no terminal."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line


async def run_terminal(me: Client) -> int:
    """Talk and pay in this terminal until the person leaves (0) or the connection ends for good (1).

    Plain lines where it is no terminal.
    """
    return await Terminal(me, interactive=sys.stdin.isatty() and sys.stdout.isatty()).run()
