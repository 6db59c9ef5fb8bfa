"""What commands there are, each with an example that is one itself; a complaint where a line is none."""

from dataclasses import dataclass
from typing import Final

HELP: Final = (
    ("/to @bob", "go to a conversation: @handle, a group's title, its number in /list, or self"),
    ("/list", "show your conversations"),
    ("/history 20", "show what was said before"),
    ("/who", "show who is in this conversation"),
    ("/read", "mark this conversation as read"),
    ("/pay @bob 5 EUR lunch", "pay somebody; in a group the payment stands in the group"),
    ("/offer @bob 5 EUR lunch", "pay once the other accepts; you can /cancel it until then"),
    ("/exchange @bob 10 EUR to JPY", "pay in another currency; shows the rate and asks first"),
    ("/request @bob 5 EUR lunch", "ask somebody for money"),
    (
        "/split 10 EUR @bob @carol dinner",
        "share a bill that you paid; shows the shares and asks; @bob=4 says how much",
    ),
    ("/packet 8 EUR 4 lucky", "put money out for whoever is first here: 4 shares, lucky or equal"),
    ("/settle", "pay what you were asked for; this and the next take #2 of /payments too"),
    ("/claim", "take a share of a packet"),
    ("/accept", "take what was offered to you"),
    ("/decline too much", "return an offer or refuse a request, with a reason if you like"),
    ("/cancel", "take back your own offer, request or split"),
    ("/refund 2 EUR", "give back some of what you were paid; all of it without an amount"),
    ("/waive @bob", "let somebody off their share of your split"),
    ("/remind", "remind those who have not answered your request or split"),
    ("/check", "prove that the last packet that ended here was fair"),
    ("/preview pay @bob 5 EUR", "what would come of a command; nothing is sent"),
    ("/payments open", "list your payments: all, or by state, @person and currency"),
    ("/statement EUR 30", "what moved your balance in the last 30 days"),
    ("/wallet", "show your balances"),
    ("/ask 100 EUR", "be asked before so much or more is paid at a time"),
    ("/faucet 100 EUR", "give yourself play money, on a sandbox"),
    ("/group Title @bob @carol", "open a group"),
    ("/invite @dave", "bring people into this group"),
    ("/remove @dave", "take somebody out of this group"),
    ("/role @dave admin", "give somebody another role: owner, admin, member, reader"),
    ("/rename New title", "give this group another title"),
    ("/leave", "leave this group"),
    ("/help money", "show the commands about something: talk, money, answers, looking, groups"),
    ("/quit", "leave; Ctrl-D does the same"),
)
NAMES: Final = tuple(line.split()[0] for line, _ in HELP)
TOPICS: Final = {
    "talk": "conversations: where you are, what was said",
    "money": "pay, ask for money, share a bill, packets",
    "answers": "accept, decline, settle, refund and the like",
    "looking": "balances, payments, statements, previews",
    "groups": "open a group, bring people in, roles",
}
_BY_TOPIC: Final = {
    "talk": "to list history who read help quit",
    "money": "pay offer exchange request split packet faucet ask",
    "answers": "settle claim accept decline cancel refund waive remind",
    "looking": "check preview payments statement wallet",
    "groups": "group invite remove role rename leave",
}
TOPIC_OF: Final = {f"/{name}": topic for topic, names in _BY_TOPIC.items() for name in names.split()}


@dataclass(frozen=True)
class Complaint:
    """What is wrong with the line, and how it is written."""

    text: str


def usage(name: str) -> Complaint:
    """How a command is written."""
    example = next(line for line, _ in HELP if line.split()[0] == f"/{name}")
    return Complaint(f"write it like: {example}")
