"""Ids that were used long ago come back in one piece with acts on what they are, which is judged as it now
stands.

The server is restarted first, so that its book is empty. Further lines behind them make the road decide the
next batch beside the save of the one before, in several takes.
"""

import json

import pytest
from tests.support.wire import TEXT, frame_bytes, make, new_id

LINES = 26


async def in_one_piece(server, account, frames):
    """Send all frames with one write; the answers by the id that they answer."""
    raw = await server.raw_socket(account)
    await raw.send(b"".join(frame_bytes(TEXT, json.dumps(frame).encode()) for frame in frames))
    answers = {}
    while len(answers) < len(frames):
        answer = await raw.json()
        answers[answer["id"] if "seq" in answer else answer.get("ref")] = answer
        answers.pop(None, None)
    await raw.drop()
    return answers


def with_an_old_id(key, *acts):
    """A line, something that ends its take, the old id on a line of text, and acts on what the id is."""
    first = make("chat.text", "self", text="one")
    lines = [make("chat.text", "self", text=f"line {number}") for number in range(LINES)]
    old = make("chat.text", "self", id=key, text="an old id")
    return [first, make("pay.claim", "self", ref=first["id"]), old, *acts, *lines]


@pytest.mark.parametrize(
    ("given_back", "refused"),
    [("10.00", "already_refunded"), ("0.01", "exceeds_refundable")],
    ids=["whole", "in part"],
)
async def test_what_was_refunded_is_not_refunded_again_when_its_id_comes_back(server, given_back, refused):
    alice, bob = await server.people("alice", "bob", credit="100.00")
    payer, payee = await server.connect(alice), await server.connect(bob)
    paid = new_id()
    await payer.submit("pay.send", "@bob", id=paid, amount="10.00", currency="EUR")
    done = await payee.submit("pay.refund", "@alice", ref=paid, amount=given_back)
    assert done["body"]["refunded"] == given_back
    purses = [await server.purse(who) for who in ("alice", "bob")]
    for thief in (bob, alice):
        await server.stop()
        await server.start()
        back = make("pay.refund", f"@{'alice' if thief is bob else 'bob'}", ref=paid, amount="10.00")
        answers = await in_one_piece(server, thief, with_an_old_id(paid, back))
        assert answers[paid]["body"]["code"] == ("id_taken" if thief is bob else "id_reused")
        assert answers[back["id"]]["body"]["code"] == (refused if thief is bob else "forbidden")
    assert [await server.purse(who) for who in ("alice", "bob")] == purses
    await server.stop_and_verify()
