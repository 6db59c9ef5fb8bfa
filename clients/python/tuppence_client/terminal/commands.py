"""What a person types is read here, without a connection: a line becomes a command or one clear complaint."""

import re
from dataclasses import dataclass
from typing import Final

from .help import NAMES, TOPIC_OF, TOPICS, Complaint, usage
from .money_commands import HANDLE, Check, MoneyCommand, Payments, Preview, Statement, handles, money_command

_ROLES: Final = ("owner", "admin", "member", "reader")


@dataclass(frozen=True)
class Say:
    """Anything without a slash; `//` begins a text that starts with one."""

    text: str


@dataclass(frozen=True)
class To:
    place: str


@dataclass(frozen=True)
class Group:
    title: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Invite:
    users: tuple[str, ...]


@dataclass(frozen=True)
class Remove:
    user: str


@dataclass(frozen=True)
class Role:
    user: str
    role: str


@dataclass(frozen=True)
class Rename:
    title: str


@dataclass(frozen=True)
class History:
    count: int


@dataclass(frozen=True)
class Help:
    """The commands about one topic, by page; `Plain("help")` lists the topics."""

    topic: str
    page: int = 1


@dataclass(frozen=True)
class Plain:
    """A command without arguments, by its name without the slash."""

    name: str


Command = (
    Say | MoneyCommand | To | Group | Invite | Remove | Role | Rename | History | Help | Plain | Complaint
)

_ASKED: Final = (To, History, Payments, Statement, Preview, Check)


def asks(command: Command) -> bool:
    """Whether it changes nothing: what is waited for is an answer."""
    return isinstance(command, _ASKED) or command in {Plain("list"), Plain("wallet"), Plain("who")}


def parse(line: str) -> Command | None:
    """Read a line; None for an empty one."""
    text = line.strip()
    if not text:
        return None
    if text.startswith("//"):
        return Say(text[1:])
    if not text.startswith("/"):
        return Say(text)
    if "\n" in text or "\r" in text:
        return Complaint("several lines came at once, and the first is a command: nothing was done")
    name, _, rest = text[1:].partition(" ")
    return _command(name, rest.strip())


def _command(name: str, rest: str) -> Command:
    match name:
        case "to":
            return To(rest) if rest else usage("to")
        case "group":
            return _group(rest)
        case "invite":
            return Invite(tuple(rest.split())) if handles(rest) else usage("invite")
        case "remove":
            return Remove(rest) if HANDLE.fullmatch(rest) else usage("remove")
        case "role":
            return _role(rest.split())
        case "rename":
            return Rename(rest) if rest else usage("rename")
        case "history":
            return _history(rest or "20")
        case "help":
            return _help(rest.split())
        case "list" | "wallet" | "who" | "read" | "quit" | "leave":
            return Plain(name) if not rest else Complaint(f"/{name} takes nothing more")
    found = money_command(name, rest)
    if found is not None:
        return found
    return Complaint(f"there is no /{name}; see /help (a message that starts with a slash: //{name})")


def _group(rest: str) -> Command:
    title, at, people = rest.partition(" @")
    members = tuple(f"@{people}".split()) if at else ()
    if not title.strip() or title.startswith("@") or (members and not handles(" ".join(members))):
        return usage("group")
    return Group(title.strip(), members)


def _role(words: list[str]) -> Command:
    if len(words) != 2 or not HANDLE.fullmatch(words[0]) or words[1] not in _ROLES:
        return usage("role")
    return Role(words[0], words[1])


def _help(words: list[str]) -> Command:
    if not words:
        return Plain("help")
    topic, page = words[0], words[1] if len(words) > 1 else "1"
    if topic.removeprefix("/") in {name[1:] for name in NAMES}:
        topic = TOPIC_OF[f"/{topic.removeprefix('/')}"]
    if topic not in TOPICS or not re.fullmatch(r"[1-9]", page, re.ASCII) or len(words) > 2:
        return Complaint(f"there is help about: {', '.join(TOPICS)}")
    return Help(topic, int(page))


def _history(rest: str) -> Command:
    if not re.fullmatch(r"[0-9]{1,3}", rest, re.ASCII) or not 1 <= int(rest) <= 200:
        return Complaint("/history takes a number from 1 to 200")
    return History(int(rest))
