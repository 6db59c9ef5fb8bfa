"""Texts and groups: what is said, and who may say it."""

from collections.abc import Mapping
from typing import Any

from tests.property.model.records import Effect, Refused, Room
from tests.property.model.state import State


def text(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    return Effect(model.writable(who, frame["conv"]), dict(frame["body"]))


def create(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    others = [person for named in frame["body"]["members"] if (person := model.person(named))]
    roles = {who: "owner"} | dict.fromkeys((other for other in others if other != who), "member")
    return Effect(Room("", "group", roles), None)


def _owned(model: State, who: str, conv: str) -> Room:
    room = model.room_that_is(who, conv)
    model.by(room.roles[who], "owner")
    return room


def invite(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    room, user = _owned(model, who, frame["conv"]), model.person(frame["body"]["users"][0])
    assert user is not None
    if user in model.disabled:
        raise Refused("not_found")
    if user in room.roles:
        raise Refused("already_member")
    return Effect(room, None, then=lambda: room.roles.__setitem__(user, "member"))


def remove(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    room, user = _owned(model, who, frame["conv"]), model.person(frame["body"]["user"])
    assert user != who
    if user not in room.roles:
        raise Refused("not_a_member")
    return Effect(room, None, then=lambda: room.roles.__delitem__(user))


def role(model: State, who: str, frame: Mapping[str, Any]) -> Effect:
    room, user = _owned(model, who, frame["conv"]), model.person(frame["body"]["user"])
    if user not in room.roles:
        raise Refused("not_a_member")
    role = frame["body"]["role"]
    return Effect(room, None, then=lambda: room.roles.__setitem__(user, role))
