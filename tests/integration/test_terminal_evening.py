"""The commands of the terminal against a server, without a terminal."""

from tuppence_client.terminal.actions import Actions
from tuppence_client.terminal.commands import parse
from tuppence_client.terminal.render import plain

EVENING = (
    ("hello?", "/to @handle", 0),
    ("/to @bob", "nothing said yet", 0),
    ("hello bob", "you  hello bob", 1),
    ("/pay 5 EUR lunch", "▲ you paid @bob 5.00 EUR · lunch", 1),
    ("/pay @carol 1 EUR", "[@carol] ▲ you paid @carol 1.00 EUR", 1),
    ("/pay @bob 99 EUR", "You have 94.00 EUR available", 0),
    ("/wallet", "94.00 EUR", 0),
    ("/group Flat @bob", "opened the group Flat", 1),
    ("/pay @bob 2 EUR rent", "▲ you paid @bob 2.00 EUR · rent", 1),
    ("/invite @carol", "invited @carol", 1),
    ("/who", "@carol", 0),
    ("/rename Home", "renamed", 1),
    ("/role @carol admin", "admin", 1),
    ("/remove @carol", "removed @carol", 1),
    ("/history 5", "· rent", 0),
    ("/list", "▸  1 Home", 0),
    ("/to 2", "── @carol ──", 0),
    ("/to home", "── Home ──", 0),
    ("/leave", "Make somebody else an owner first", 0),
    ("/role @bob owner", "owner", 1),
    ("/leave", "left", 1),
    ("/to @nobody", "There is nobody with that handle", 0),
    ("/help", "/help money", 0),
    ("/help money", "/pay @bob 5 EUR", 0),
)
"""What is typed, what is shown then, and how many events come of it."""


async def test_an_evening_at_the_terminal(sandbox, alice):
    shown: list[str] = []
    sandbox.token("carol")
    events = alice.events()
    actions = Actions(alice, lambda line: shown.append(plain(line)))
    for line, expected, count in EVENING:
        shown.clear()
        await actions.run(parse(line))
        for _ in range(count):
            await actions.show_event(await anext(events))
        assert expected in "\n".join(shown), line
        if line == "/pay @bob 2 EUR rent":
            assert "[" not in shown[0]  # it is in the conversation that one is in
    assert actions.place is None
