"""What a person types is read here, without a connection: a line becomes a command or one clear complaint."""

import re
from dataclasses import dataclass
from typing import Final

from tuppence_protocol.errors import Refusal
from tuppence_protocol.money import format_amount, parse_money

_HANDLE: Final = re.compile(r"@[a-z0-9_]{2,32}", re.ASCII)
_ROLES: Final = ("owner", "admin", "member", "reader")

HELP: Final = (
    ("/pay @bob 5 EUR lunch", "pay somebody; in a group the payment stands in the group"),
    ("/to @bob", "go to a conversation: @handle, a group's title, its number in /list, or self"),
    ("/group Title @bob @carol", "open a group"),
    ("/invite @dave", "bring people into this group"),
    ("/remove @dave", "take somebody out of this group"),
    ("/role @dave admin", "give somebody another role: owner, admin, member, reader"),
    ("/rename New title", "give this group another title"),
    ("/leave", "leave this group"),
    ("/history 20", "show what was said before"),
    ("/list", "show your conversations"),
    ("/wallet", "show your balances"),
    ("/who", "show who is in this conversation"),
    ("/read", "mark this conversation as read"),
    ("/help", "show this"),
    ("/quit", "leave; Ctrl-D does the same"),
)
NAMES: Final = tuple(line.split()[0] for line, _ in HELP)


@dataclass(frozen=True)
class Say:
    """Anything without a slash; `//` begins a text that starts with one."""

    text: str


@dataclass(frozen=True)
class Pay:
    """`payee` is None where only the amount was typed: the other person of the current DM."""

    payee: str | None
    amount: str
    currency: str
    note: str | None


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
class Plain:
    """A command without arguments, by its name without the slash."""

    name: str


@dataclass(frozen=True)
class Complaint:
    """What is wrong with the line, and how it is written."""

    text: str


Command = Say | Pay | To | Group | Invite | Remove | Role | Rename | History | Plain | Complaint


def parse(line: str) -> Command | None:
    """Read a line; None for an empty one."""
    text = line.strip()
    if not text:
        return None
    if text.startswith("//"):
        return Say(text[1:])
    if not text.startswith("/"):
        return Say(text)
    name, _, rest = text[1:].partition(" ")
    return _command(name, rest.strip())


def _command(name: str, rest: str) -> Command:
    match name:
        case "pay":
            return _pay(rest)
        case "to":
            return To(rest) if rest else _usage("to")
        case "group":
            return _group(rest)
        case "invite":
            return Invite(tuple(rest.split())) if _handles(rest) else _usage("invite")
        case "remove":
            return Remove(rest) if _HANDLE.fullmatch(rest) else _usage("remove")
        case "role":
            return _role(rest.split())
        case "rename":
            return Rename(rest) if rest else _usage("rename")
        case "history":
            return _history(rest or "20")
        case "list" | "wallet" | "who" | "read" | "help" | "quit" | "leave":
            return Plain(name) if not rest else Complaint(f"/{name} takes nothing more")
    return Complaint(f"there is no /{name}; see /help (a message that starts with a slash: //{name})")


def _usage(name: str) -> Complaint:
    example = next(line for line, _ in HELP if line.split()[0] == f"/{name}")
    return Complaint(f"write it like: {example}")


def _handles(rest: str) -> bool:
    return bool(rest) and all(_HANDLE.fullmatch(word) for word in rest.split())


def _pay(rest: str) -> Command:
    words = rest.split(maxsplit=1)
    payee = words[0] if words and words[0].startswith("@") else None
    if payee is not None and (len(words) < 2 or not _HANDLE.fullmatch(payee)):
        return _usage("pay")
    amount, _, tail = (words[1] if payee else rest).partition(" ")
    currency, _, note = tail.strip().partition(" ")
    money = parse_money(f"{amount} {currency}")
    if isinstance(money, Refusal):
        return Complaint(f"{money.code}: {money.message}") if amount and currency else _usage("pay")
    return Pay(payee, format_amount(*money), money[1], note.strip() or None)


def _group(rest: str) -> Command:
    title, at, people = rest.partition(" @")
    members = tuple(f"@{people}".split()) if at else ()
    if not title.strip() or title.startswith("@") or (members and not _handles(" ".join(members))):
        return _usage("group")
    return Group(title.strip(), members)


def _role(words: list[str]) -> Command:
    if len(words) != 2 or not _HANDLE.fullmatch(words[0]) or words[1] not in _ROLES:
        return _usage("role")
    return Role(words[0], words[1])


def _history(rest: str) -> Command:
    if not re.fullmatch(r"[0-9]{1,3}", rest, re.ASCII) or not 1 <= int(rest) <= 200:
        return Complaint("/history takes a number from 1 to 200")
    return History(int(rest))
