"""Texts and groups: what is said, who may say it, and who has which role."""

from collections.abc import Mapping
from typing import Any, Final

from tests.property.model.records import IDS, Effect, Refused, Room
from tests.property.model.state import State

RANK: Final = {"owner": 3, "admin": 2, "member": 1, "reader": 0}


def text(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    return Effect(model.writable(who, frame["conv"]), dict(frame["body"]))


def create(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    roles = {who: "owner"}
    for named in frame["body"]["members"]:
        roles.setdefault(_newcomer(model, named), "member")
    members = [IDS[member] for member in roles]
    told = {"kind": "group", "title": frame["body"]["title"], "members": members}
    return Effect(Room("", "group", roles), told)


def _newcomer(model: State, named: str) -> str:
    person = model.person(named)
    if person is None or person in model.disabled:
        raise Refused("not_found")
    return person


def _group(model: State, who: str, frame: Mapping[str, Any], role: str) -> Room:
    room = model.place(who, frame["conv"])
    if room.kind != "group" or RANK[room.roles[who]] < RANK[role]:
        raise Refused("forbidden")
    return room


def _member(model: State, room: Room, named: str) -> str:
    person = model.person(named)
    if person not in room.roles:
        raise Refused("not_found" if person is None else "not_a_member")
    return person


def _is_last_owner(room: Room, who: str) -> bool:
    return [each for each, role in room.roles.items() if role == "owner"] == [who]


def invite(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    room = _group(model, who, frame, "admin")
    user = _newcomer(model, frame["body"]["users"][0])
    if user in room.roles:
        raise Refused("already_member")
    return Effect(room, {"users": [IDS[user]]}, then=lambda: room.roles.__setitem__(user, "member"))


def remove(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    room = _group(model, who, frame, "admin")
    user = _member(model, room, frame["body"]["user"])
    if user == who or (room.roles[who] == "admin" and room.roles[user] in {"owner", "admin"}):
        raise Refused("forbidden")
    return Effect(room, {"user": IDS[user]}, then=lambda: room.roles.__delitem__(user))


def leave(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    room = _group(model, who, frame, "reader")
    if _is_last_owner(room, who) and len(room.roles) > 1:
        raise Refused("last_owner")
    return Effect(room, {}, then=lambda: room.roles.__delitem__(who))


def role(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    room = _group(model, who, frame, "owner")
    user, given = _member(model, room, frame["body"]["user"]), frame["body"]["role"]
    if given != "owner" and _is_last_owner(room, user):
        raise Refused("last_owner")
    return Effect(room, {"user": IDS[user], "role": given}, then=lambda: room.roles.__setitem__(user, given))
