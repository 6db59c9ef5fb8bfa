"""From a commit to the sockets: each event encoded once, one write per socket per batch, in `pos` order."""

from collections.abc import Callable, Iterable
from itertools import chain, groupby
from typing import Final, NamedTuple

from tuppence_protocol import codec
from tuppence_protocol.errors import CLOSES, CloseCode
from tuppence_protocol.kinds import BalanceNotice, PresenceBody, PresenceNotice, ReceiptBody, ReceiptNotice
from tuppence_protocol.limits import RECEIPT_MEMBERS_MAX
from tuppence_server.domain.effects import (
    Balance,
    Joined,
    Left,
    Marked,
    Outflow,
    Publish,
    SessionEnded,
    UserEnded,
)
from tuppence_server.domain.views import balance_view
from tuppence_server.pipeline.commits import Committed
from tuppence_server.telemetry.metrics import Metrics

from .broker import Whisper
from .outbox import Joining, Outbox
from .presence import People, Person

_NOBODY: Final[set[Outbox]] = set()


class Doubt(NamedTuple):
    """A connection, whom it may no longer watch, and how often it had said whom it watches."""

    outbox: Outbox
    users: frozenset[str]
    watches: int


class Hub:
    """Conversation -> connections of this node. `frame` wraps a text for the socket."""

    def __init__(self, frame: Callable[[bytes], bytes], metrics: Metrics) -> None:
        self._frame = frame
        self._metrics = metrics
        self.people = People()
        self.touched: list[Outbox] = []
        self._groups: dict[str, set[Outbox]] = {}
        self.partings = 0
        """How often somebody has left a group: what was read of who knows whom may be of before."""
        self.doubt: Callable[[list[Doubt]], None] = lambda _: None
        """Called with those who may no longer watch whom they watched, and do not until it is known."""

    # Connections

    def attach(self, outbox: Outbox, user: str, handle: str, groups: Iterable[str]) -> None:
        """Let a connection take part; its events wait in `joining` until `admit`."""
        outbox.joining = Joining()
        if self.people.attach(user, handle, outbox):
            self._presence(user, online=True, last_seen=None)
        for conv in groups:
            self._enter(outbox, conv)

    def admit(self, outbox: Outbox, pos: int, groups: Iterable[str], greeting: list[bytes]) -> None:
        """Send what a snapshot at `pos` says, then what came since, then go live.

        The snapshot knows the groups up to `pos`; what changed after that has been noted on the way.
        """
        joining = outbox.joining
        if joining is None:
            return
        outbox.joining = None
        outbox.since = pos
        later = {conv: joined for conv, known_at, joined in joining.changes if known_at > pos}
        known = set(groups)
        foreign = outbox.groups - known
        stale = {conv for conv in foreign if not later.get(conv)}
        since = {conv: known_at for conv, known_at, joined in joining.changes if joined}
        for conv in stale:
            self._exit(outbox, conv)
        for conv in known - outbox.groups:
            if later.get(conv, True):
                self._enter(outbox, conv)
        for data in greeting:
            outbox.push_answer(data)
        for conv, at, data in joining.events:
            if at > pos and (conv not in foreign or at >= since.get(conv, at + 1)):
                outbox.push(conv, at, data)
        outbox.catch_up()
        self.flush()

    def enter(self, outbox: Outbox, groups: Iterable[str]) -> bool:
        """Join groups that the snapshot knows and the hub did not; True where there were some.

        What happened in them between the snapshot and now went past this connection, so that another
        snapshot is needed.
        """
        left = {conv for conv, _, joined in outbox.joining.changes if not joined} if outbox.joining else set()
        missing = set(groups) - outbox.groups - left
        for conv in missing:
            self._enter(outbox, conv)
        return bool(missing)

    def detach(self, outbox: Outbox, now: int) -> Person | None:
        """A connection is gone; the person where it was the last one."""
        for conv in tuple(outbox.groups):
            self._exit(outbox, conv)
        person = self.people.detach(outbox)
        if person is not None:
            person.seen_at = now
        return person

    def gone(self, person: Person) -> None:
        """Nobody came back within the grace: the person is offline."""
        if person.outboxes or self.people.get(person.id) is not person:
            return
        self.people.drop(person.id)
        self._presence(person.id, online=False, last_seen=person.seen_at)

    def _enter(self, outbox: Outbox, conv: str) -> None:
        if not outbox.groups:
            outbox.groups = set()
        outbox.groups.add(conv)
        self._groups.setdefault(conv, set()).add(outbox)

    def _exit(self, outbox: Outbox, conv: str) -> None:
        outbox.groups.discard(conv)
        members = self._groups.get(conv)
        if members is not None:
            members.discard(outbox)
            if not members:
                del self._groups[conv]

    # Commits

    def committed(self, commit: Committed) -> None:
        """Queue one commit for every connection that it concerns; `flush` writes it."""
        for run_of, run in groupby(commit.outflow, _run):
            if run_of is None:
                for item in run:
                    self._change(item)
            else:
                pieces = [item for item in run if isinstance(item, Publish)]
                self._publish(pieces, alone=len(pieces) == len(commit.outflow))
        for balance in commit.balances:
            self._balance(balance)

    def _publish(self, run: list[Publish], *, alone: bool) -> None:
        """Send consecutive events of one conversation as one piece.

        Where they are `alone` in their commit, nothing else can follow for most connections of a group, so
        that the piece need not wait for the end of the batch; then who wrote gets it before the others.
        """
        last = run[-1]
        frame, splice = self._frame, codec.splice
        pieces = [frame(splice(item.event.head, item.event.body)) for item in run]
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        count = 0
        conv, pos, seq = last.event.conv, last.event.pos, last.event.seq
        if last.people is None:
            members = self._groups.get(conv, _NOBODY)
            if last.members <= RECEIPT_MEMBERS_MAX:
                for outbox in members:
                    if outbox.person is not None:
                        outbox.person.note(conv, pos, seq)
            for outbox in self._authors_first(members, run) if alone else members:
                if (
                    alone
                    and outbox.pending is None
                    and outbox.joining is None
                    and not outbox.paused
                    and outbox.since < pos
                ):
                    outbox.transmit(data)
                else:
                    outbox.push(conv, pos, data)
                count += 1
        else:
            get = self.people.get
            for user in last.people:
                person = get(user)
                if person is not None:
                    person.note(conv, pos, seq)
                    for outbox in person.outboxes:
                        outbox.push(conv, pos, data)
                        count += 1
        self._metrics.deliveries += count * len(run)

    def _authors_first(self, members: set[Outbox], run: list[Publish]) -> Iterable[Outbox]:
        """In a large room the answer would wait for a thousand writes to people who do not wait for it."""
        authors = {item.author for item in run}
        waiting = members.intersection(chain.from_iterable(map(self._outboxes, authors)))
        return chain(waiting, members - waiting)

    def _change(self, item: Outflow) -> None:
        match item:
            case Joined():
                self._joined(item.conv, item.user, item.pos)
            case Left():
                self._left(item.conv, item.user, item.pos)
            case Marked():
                self._marked(item)
            case SessionEnded():
                self._end_all(item.user, CLOSES["bad_token"], item.session)
            case UserEnded():
                code = CLOSES["account_disabled" if item.disabled else "bad_token"]
                self._end_all(item.user, code, None)

    def _joined(self, conv: str, user: str, pos: int) -> None:
        for outbox in self._outboxes(user):
            if outbox.joining is not None:
                outbox.joining.changes.append((conv, pos + 1, True))
            self._enter(outbox, conv)

    def _part(self, conv: str, user: str) -> None:
        """Whoever shared this conversation with somebody who left it may share no other."""
        self.partings += 1
        one = frozenset({user})
        doubts = [(outbox, one) for outbox in self.people.watchers(user) if conv in outbox.groups]
        doubts += [(outbox, outbox.watched) for outbox in self._outboxes(user) if outbox.watched]
        for outbox, users in doubts:
            self.people.watch(outbox, outbox.watched - users)
        if doubts:
            self.doubt([Doubt(outbox, users, outbox.watches) for outbox, users in doubts])

    def _left(self, conv: str, user: str, pos: int) -> None:
        self._part(conv, user)
        for outbox in self._outboxes(user):
            if outbox.joining is not None:
                outbox.joining.changes.append((conv, pos, False))
            self._exit(outbox, conv)

    def _marked(self, mark: Marked) -> None:
        if mark.members > RECEIPT_MEMBERS_MAX:
            return
        body = ReceiptBody(delivered=mark.delivered, read=mark.read)
        notice = codec.encode(ReceiptNotice(conv=mark.conv, from_=mark.user, body=body))
        self._live(mark.conv, mark.people, self._frame(notice), None)

    def _balance(self, balance: Balance) -> None:
        person = self.people.get(balance.owner)
        if person is None or not person.outboxes:
            return
        view = balance_view(balance.currency, balance.available, balance.held, balance.pos)
        data = self._frame(codec.encode(BalanceNotice(body=view)))
        for outbox in person.outboxes:
            outbox.push_latest(balance.currency, data, balance.pos)

    def _end_all(self, user: str, code: CloseCode, session: str | None) -> None:
        for outbox in self._outboxes(user):
            if session is None or outbox.session_id == session:
                outbox.close(code)

    # Live

    def whispered(self, whisper: Whisper) -> None:
        """Pass a fleeting frame to everybody else in the conversation."""
        self._live(whisper.conv, whisper.people, self._frame(whisper.data), whisper.author)
        self.flush()

    def show(self, outbox: Outbox, users: Iterable[str]) -> None:
        """Tell a connection how each of these people stands now."""
        for user in users:
            online = self.people.get(user) is not None
            outbox.push_latest(user, self._frame(_presence(user, online=online, last_seen=None)))

    def flush(self) -> None:
        """Write what is pending, once per connection."""
        touched = self.touched
        for outbox in touched:
            outbox.flush()
        touched.clear()

    def _live(self, conv: str, people: tuple[str, ...] | None, data: bytes, author: str | None) -> None:
        if people is None:
            for outbox in self._groups.get(conv, ()):
                if outbox.person is not None and outbox.person.id != author:
                    outbox.push_live(data)
            return
        for user in people:
            if user != author:
                for outbox in self._outboxes(user):
                    outbox.push_live(data)

    def _presence(self, user: str, *, online: bool, last_seen: int | None) -> None:
        watchers = self.people.watchers(user)
        if watchers:
            data = self._frame(_presence(user, online=online, last_seen=last_seen))
            for outbox in watchers:
                outbox.push_latest(user, data)

    def _outboxes(self, user: str) -> tuple[Outbox, ...]:
        person = self.people.get(user)
        return () if person is None else person.outboxes


def _run(item: Outflow) -> str | None:
    return item.event.conv if isinstance(item, Publish) else None


def _presence(user: str, *, online: bool, last_seen: int | None) -> bytes:
    return codec.encode(PresenceNotice(body=PresenceBody(user=user, online=online, last_seen=last_seen)))
