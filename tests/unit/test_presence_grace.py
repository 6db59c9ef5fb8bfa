"""Somebody whose connection broke is offline once a whole grace went by without them,
however often it broke."""

import json

from tests.support.node import Node
from tests.support.waiting import seeded

from tuppence_protocol.limits import PRESENCE_GRACE_MS
from tuppence_server.edge.presence_grace import PresenceGrace

GRACE_S = PRESENCE_GRACE_MS / 1000


def test_breaks_that_follow_each_other_each_have_a_whole_grace() -> None:
    random = seeded()
    for _ in range(200):
        node, now = Node(), [0.0]
        grace = PresenceGrace(node.hub, lambda now=now: now[0])
        watcher, bob = node.enter("alice"), None
        node.hub.people.watch(watcher, frozenset({"bob"}))
        online, gone_at = False, None
        for _ in range(60):
            now[0] += random.uniform(0, GRACE_S / 2)
            grace.check(now[0])
            due = gone_at is not None and now[0] - gone_at >= GRACE_S
            told = [json.loads(data)["body"]["online"] for data in watcher.writes]
            watcher.writes.clear()
            if due:
                online, gone_at = False, None
                assert told == [False], "late by no more than the next look"
            else:
                assert told == [], "nobody has noticed anything"
            if bob is None and random.random() < 0.5:
                bob = node.enter("bob")
                assert [json.loads(data)["body"]["online"] for data in watcher.writes] == [True] * (
                    not online
                )
                watcher.writes.clear()
                online, gone_at = True, None
            elif bob is not None and random.random() < 0.6:
                person = node.hub.detach(bob, 1)
                assert person is not None
                grace.add(person)
                bob, gone_at = None, now[0]
