"""A terminal without a terminal: three people, their conversations, and a client that writes down what it
would send."""

from typing import Final

from tuppence_client import PlaceError, Preview
from tuppence_client.terminal.actions import Actions
from tuppence_client.terminal.commands import parse
from tuppence_client.terminal.render import plain
from tuppence_client.verbs import Previewable, Verbs
from tuppence_protocol import codec, kinds
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import Event
from tuppence_protocol.views import BalanceView, Money, UserView

ALICE: Final = "u_" + "a" * 26
BOB: Final = "u_" + "b" * 26
CAROL: Final = "u_" + "c" * 26
NAMES: Final = {ALICE: "alice", BOB: "bob", CAROL: "carol"}
EUR: Final = "EUR"
GROUP: Final = "c_" + "g" * 26
DM: Final = "c_" + "d" * 26
AT: Final = 1_790_000_000_000
PACKET: Final = kinds.PacketMade(
    "8.00", EUR, 4, "lucky", "open", AT, "ab", "@bob put 8.00 EUR into a packet of 4 lucky shares"
)


def sent(payee: str, state: str = "completed", **more) -> kinds.PaymentSent:
    return kinds.PaymentSent("5.00", EUR, payee, state, "alt", **more)


class Me(Verbs):
    """A client that writes down what it would send; money comes to it in `lists`."""

    def __init__(self) -> None:
        super().__init__(self._id, lambda: ALICE, self._sent)
        self.preview = Previewable(self._id, lambda: ALICE, self._previewed)
        self.user = UserView(ALICE, "alice")
        self.mode = "live"
        self.people = {user: UserView(user, name) for user, name in NAMES.items()}
        bob = kinds.ConversationView(DM, "dm", 1, 1, "member", 1, 1, 2, peer=self.people[BOB])
        flat = kinds.ConversationView(GROUP, "group", 1, 1, "member", 1, 1, 3, title="Flat")
        self.conversations = {DM: bob, GROUP: flat}
        self.frames: list[dict] = []
        self.lists: list[kinds.PaymentView] = []
        self.past: list[Event] = []
        self.asked: list[dict] = []
        self._ids = 0

    def _id(self) -> str:
        self._ids += 1
        return f"00000000-0000-7000-8000-{self._ids:012d}"

    async def _sent(self, frame) -> None:
        decoded = codec.decode_client(codec.encode(frame))
        assert not isinstance(decoded, Refusal), decoded
        self.frames.append(codec.fields_of(codec.encode(frame)))

    async def _previewed(self, frame) -> Preview:
        self.asked.append(codec.fields_of(codec.encode(frame)))
        balance = BalanceView(EUR, "94.90", "0.00", 1)
        return Preview(
            frame.kind, sent(BOB), [Money("5.10", EUR)], [balance], fee=Money("0.10", EUR)
        )  # fmt: skip

    async def conversation(self, conv):
        return self.conversations.get(conv)

    async def send(self, conv, text):
        self.frames.append({"kind": "chat.text", "conv": conv, "body": {"text": text}})

    async def find_user(self, user):
        raise PlaceError("not_found", "There is no such person.")

    async def history(self, conv, *, after=None, before=None, limit=50):
        found = [event for event in self.past if event.conv == conv and (after is None or event.seq > after)]
        return found[:limit] if after is not None else found[-limit:]

    async def event(self, wanted):
        found = next((event for event in self.past if event.id == wanted), None)
        if found is None:
            raise PlaceError("not_found", "There is no such thing.")
        return found

    async def quote(self, *, sell, buy, amount, side="sell"):
        self.asked.append({"sell": sell, "buy": buy, "amount": amount, "side": side})
        return kinds.QuoteView(
            "00000000-0000-7000-8000-00000000abcd", Money(amount, sell), Money("1600", buy), "160", "0.01",
            "0.20", AT,
        )  # fmt: skip

    async def payments(self, **asked):
        self.asked.append(asked)
        for view in self.lists:
            yield view

    async def statement(self, currency, *, from_=None):
        self.asked.append({"currency": currency})
        lines = [
            kinds.StatementLine(1, AT, "i", DM, "pay.send", "pay.send", "-5.00", "5.00", "bob"),
            kinds.StatementLine(2, AT, "i", DM, "pay.send", "fee", "-0.10", "4.90"),
            kinds.StatementLine(
                3, AT, "i", DM, "pay.send", "pay.send", "1.00", "5.90", "a_handle_of_thirty_two_letters__"
            ),
            kinds.StatementLine(4, AT, "i", "self", "pay.deposit", "pay.deposit", "0.00", "5.90", "operator"),
        ]
        return Lines(currency, lines)

    def watch(self, *users) -> None:
        pass

    def read(self, conv, seq) -> None:
        pass


class Lines:
    opening, closing = "10.00", "5.90"

    def __init__(self, currency, lines) -> None:
        self.currency = currency
        self._lines = lines

    async def __aiter__(self):
        for line in self._lines:
            yield line


class Desk:
    """A terminal without a terminal."""

    def __init__(self, place: str | None = DM) -> None:
        self.me = Me()
        self.lines: list[str] = []
        self.actions = Actions(self.me, lambda line: self.lines.append(plain(line)))
        self.actions.place = place
        self.pos = 0

    async def typed(self, line: str) -> str:
        command = parse(line)
        assert command is not None
        await self.actions.run(command)
        text = "\n".join(self.lines)
        self.lines.clear()
        return text

    async def frame(self, line: str) -> dict:
        self.me.frames.clear()
        said = await self.typed(line)
        assert len(self.me.frames) == 1, said
        frame = self.me.frames[0]
        return {name: frame[name] for name in ("kind", "conv", "ref", "body") if name in frame}

    async def happens(self, kind: str, author: str, body, ref: str = "", conv: str = DM) -> Event:
        self.pos += 1
        own = f"00000000-0000-7000-8000-0000000{self.pos:05d}"
        more = {"ref": ref} if ref else {}
        happened = Event(kind, own, conv, self.pos, self.pos, author, AT, body, **more)
        self.me.past.append(happened)
        await self.actions.show_event(happened)
        self.lines.clear()
        return happened
