"""The client's side of the session: every event once, in order, without a gap; nothing is forgotten."""

import json

import pytest

from tuppence_protocol import codec
from tuppence_protocol.events import RawEvent
from tuppence_protocol.kinds import AskHistory, ChatText, TextBody
from tuppence_protocol.session import (
    Answered,
    ClientSession,
    Deliver,
    Ended,
    Gap,
    Noticed,
    Opened,
    Settled,
)

ME = "u_" + "a" * 26
OTHER = "u_" + "b" * 26
A = "c_" + "a" * 26
B = "c_" + "b" * 26


def uid(n: int) -> str:
    return f"00000000-0000-7000-8000-{n:012d}"


def text(conv: str, seq: int, pos: int, *, own: str | None = None) -> str:
    frame = {"kind": "chat.text", "id": own or uid(pos), "conv": conv, "seq": seq, "pos": pos, "from": OTHER}
    return json.dumps(frame | {"at": 1, "body": {"text": f"{conv[2]}{seq}"}})


def invited(conv: str, seq: int, pos: int, *users: str) -> str:
    frame = {"kind": "room.invite", "id": uid(pos), "conv": conv, "seq": seq, "pos": pos, "from": OTHER}
    return json.dumps(frame | {"at": 1, "body": {"users": list(users), "alt": "invited"}})


def raw_event(conv: str, seq: int, pos: int) -> RawEvent:
    return codec._decode_raw_event(text(conv, seq, pos))


def ready(
    *, pos: int = 0, epoch: str = "e1", resumed: bool = False, seqs: dict[str, int] | None = None
) -> str:
    views = [
        {
            "conv": conv, "kind": "group", "seq": seq, "pos": pos, "role": "member", "since": 1, "read": 0,
            "members": 2,
        }
        for conv, seq in (seqs or {}).items()
    ]  # fmt: skip
    body = {
        "user": {"id": ME, "handle": "me"}, "session": "s_1", "epoch": epoch, "pos": pos, "resumed": resumed,
        "heartbeat_ms": 25000, "now": 0, "conversations": views, "balances": [],
        "limits": {"frame_bytes": 65536, "text_chars": 8000, "page_events": 200},
    }  # fmt: skip
    return json.dumps({"kind": "ready", "body": body})


def synced(pos: int) -> str:
    return json.dumps({"kind": "synced", "body": {"pos": pos}})


def say(n: int) -> ChatText:
    return ChatText(id=uid(n), conv="@bob", body=TextBody(text="hi"))


def opened(**given) -> ClientSession:
    session = ClientSession("token", "device", "test")
    (effect,) = session.receive(ready(**given))
    assert isinstance(effect, Opened)
    return session


def delivered(effects) -> list[str]:
    return [effect.event.body.text for effect in effects if isinstance(effect, Deliver)]


def hello_body(session: ClientSession) -> dict:
    return json.loads(session.hello())["body"]


def test_the_first_hello_has_no_cursor_and_the_next_one_has():
    session = ClientSession("token", "device", "test")
    assert not {"epoch", "pos"} & hello_body(session).keys()
    session.receive(ready(pos=7, epoch="e9"))
    session.lost()
    body = hello_body(session)
    assert (body["epoch"], body["pos"]) == ("e9", 7)


def test_an_event_is_delivered_once():
    session = opened(seqs={A: 3})
    assert delivered(session.receive(text(A, 4, 10))) == ["a4"]
    assert session.receive(text(A, 4, 10)) == []
    assert session.receive(text(A, 2, 5)) == []


def test_an_event_beyond_the_next_is_held_until_the_gap_closes_by_itself():
    session = opened(seqs={A: 1})
    assert session.receive(text(A, 3, 12)) == [Gap(A)]
    assert session.receive(text(A, 4, 13)) == []
    assert delivered(session.receive(text(A, 2, 11))) == ["a2", "a3", "a4"]
    assert session.gap_frame(A, uid(1)) is None


def test_a_gap_is_filled_from_history():
    session = opened(seqs={A: 1})
    session.receive(text(A, 4, 14))
    frame = session.gap_frame(A, uid(1))
    assert isinstance(frame, AskHistory)
    assert (frame.conv, frame.body.after) == (A, 1)
    effects = session.fill([raw_event(A, 2, 12), raw_event(A, 3, 13), raw_event(A, 4, 14)])
    assert delivered(effects) == ["a2", "a3", "a4"]


def test_what_history_does_not_have_is_skipped():
    session = opened(seqs={A: 1})
    session.receive(text(A, 5, 15))
    session.receive(text(A, 6, 16))
    assert session.fill([]) == []
    assert delivered(session.skip(A)) == ["a5", "a6"]
    assert session.skip(A) == []
    assert session.pos == 16


def test_the_cursor_stays_before_a_gap():
    session = opened(pos=10, seqs={A: 1, B: 1})
    session.receive(text(A, 3, 12))
    session.receive(text(B, 2, 13))
    assert session.pos == 10
    session.receive(text(A, 2, 11))
    assert session.pos == 13


def test_a_connection_lost_in_a_gap_resumes_from_before_it():
    session = opened(pos=10, seqs={A: 1, B: 1})
    session.receive(text(A, 3, 12))
    session.receive(text(B, 2, 13))
    session.lost()
    session.receive(ready(resumed=True))
    session.receive(text(A, 2, 11))
    assert session.pos == 11, "12 has not come again yet"
    assert delivered(session.receive(text(A, 3, 12))) == ["a3"]
    assert session.receive(text(B, 2, 13)) == []
    session.receive(synced(13))
    assert session.pos == 13


def test_sending_waits_for_the_end_of_the_replay():
    session = opened(pos=3)
    assert session.caught_up
    session.lost()
    assert not session.caught_up
    session.receive(ready(resumed=True))
    assert session.ready
    assert not session.caught_up
    session.receive(synced(9))
    assert session.caught_up
    assert session.pos == 9


def test_without_resume_the_places_are_where_ready_says():
    session = opened(pos=10, seqs={A: 1})
    session.receive(text(A, 3, 12))
    session.lost()
    session.receive(ready(pos=50, epoch="e2", seqs={A: 9}))
    assert session.pos == 50
    assert session.receive(text(A, 9, 40)) == []
    assert delivered(session.receive(text(A, 10, 51))) == ["a10"]


def test_who_comes_back_sees_the_group_from_the_invitation_on():
    session = opened(seqs={A: 4})
    (effect,) = session.receive(invited(A, 9, 20, ME))
    assert isinstance(effect, Deliver)
    assert delivered(session.receive(text(A, 10, 21))) == ["a10"]


def test_an_old_invitation_does_not_bring_old_events_back():
    session = opened(seqs={A: 12})
    assert session.receive(invited(A, 9, 20, ME)) == []
    assert session.receive(text(A, 10, 21)) == []


def test_what_was_held_from_before_the_invitation_does_not_hold_the_cursor():
    session = opened(pos=10, seqs={A: 4})
    assert session.receive(text(A, 6, 11)) == [Gap(A)]
    session.receive(invited(A, 9, 20, ME))
    assert session.gap_frame(A, uid(1)) is None
    assert session.pos == 20


def test_the_event_settles_its_frame():
    session = opened()
    raw = session.submit(say(1))
    assert session.unsettled == {uid(1): raw}
    settled, shown = session.receive(text(A, 1, 1, own=uid(1)))
    assert isinstance(settled, Settled)
    assert isinstance(shown, Deliver)
    assert settled.outcome == shown.event
    assert not session.unsettled


def test_the_stored_event_told_again_settles_but_is_not_shown_again():
    session = opened(seqs={A: 5})
    session.submit(say(1))
    (effect,) = session.receive(text(A, 2, 2, own=uid(1)))
    assert isinstance(effect, Settled)


def test_a_final_refusal_settles_and_another_one_keeps_the_frame():
    session = opened()
    session.submit(say(1))
    for final in (False, True):
        body = {"code": "busy", "message": "…", "final": final}
        (effect,) = session.receive(json.dumps({"kind": "error", "ref": uid(1), "body": body}))
        assert isinstance(effect, Settled)
        assert (uid(1) in session.unsettled) is not final


def test_unsettled_frames_outlive_the_connection_until_forgotten():
    session = opened()
    session.submit(say(1))
    session.lost()
    assert uid(1) in session.unsettled
    session.forget(uid(1))
    session.forget(uid(1))
    assert not session.unsettled


def test_answers_notices_and_goodbyes_are_told_apart():
    session = opened()
    (answer,) = session.receive(json.dumps({"kind": "result", "ref": uid(2), "body": {}}))
    (refused,) = session.receive(
        json.dumps(
            {"kind": "error", "ref": uid(3), "body": {"code": "not_found", "message": "", "final": True}}
        )
    )
    (notice,) = session.receive(json.dumps({"kind": "pong", "body": {"now": 1}}))
    (bye,) = session.receive(json.dumps({"kind": "bye", "body": {"code": 4000, "reason": "shutdown"}}))
    assert isinstance(answer, Answered)
    assert isinstance(refused, Answered)
    assert isinstance(notice, Noticed)
    assert isinstance(bye, Ended)
    assert session.receive('{"kind":"live.future","body":{}}') == []


def test_the_heartbeat_acknowledges_the_cursor():
    session = opened(pos=4, seqs={A: 1})
    session.receive(text(A, 2, 5))
    assert json.loads(session.ping())["body"] == {"pos": 5}


@pytest.mark.parametrize("raw", ["", "[]", "{}", '{"kind":5}', '{"kind":"chat.text"}', b"\xff"])
def test_what_is_no_frame_raises(raw):
    with pytest.raises(ValueError):
        opened().receive(raw)
