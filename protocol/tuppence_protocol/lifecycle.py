"""The life of a payment as one table: in each state, who may do what with it, and which states that leads to.

Rules, clients' cards and the spec read it. What else may stand in somebody's way (a frozen account, a
reader's role, too little money) it does not tell.
"""

from typing import Final, Literal

Verb = Literal[
    "settle", "claim", "accept", "decline", "cancel", "refund", "waive", "remind", "reverse", "expire"
]
"""What is done with a payment: a `pay.…` of that name; to settle is a `pay.send` that names it as `ref`."""
By = Literal["payer", "payee", "sharer", "anyone", "operator", "time"]
"""Who does it. `sharer` has a share of a bill and is not its payee;
`anyone` takes part in the conversation."""


class Way:
    """Who may take it, and the states that it can lead to."""

    __slots__ = ("by", "to")

    def __init__(self, by: By, *to: str) -> None:
        self.by, self.to = by, to


Ways = dict[Verb, Way]
_ENDED: Final[Ways] = {}
_RECEIVED: Final[Ways] = {
    "refund": Way("payee", "partly_refunded", "refunded"),
    "reverse": Way("operator", "refunded"),
}
LIFE: Final[dict[str, dict[str, Ways]]] = {
    "send": {
        "pending": {
            "accept": Way("payee", "completed"),
            "decline": Way("payee", "declined"),
            "cancel": Way("payer", "cancelled"),
            "expire": Way("time", "expired"),
        },
        "completed": _RECEIVED, "partly_refunded": _RECEIVED, "refunded": _ENDED,
        "declined": _ENDED, "cancelled": _ENDED, "expired": _ENDED,
    },
    "request": {
        "open": {
            "settle": Way("payer", "paid"),
            "decline": Way("payer", "declined"),
            "cancel": Way("payee", "cancelled"),
            "remind": Way("payee", "open"),
            "expire": Way("time", "expired"),
        },
        "paid": _ENDED, "declined": _ENDED, "cancelled": _ENDED, "expired": _ENDED,
    },
    "split": {
        "open": {
            "settle": Way("sharer", "open", "settled"),
            "decline": Way("sharer", "open", "settled"),
            "waive": Way("payee", "open", "settled"),
            "cancel": Way("payee", "cancelled"),
            "remind": Way("payee", "open"),
            "expire": Way("time", "expired"),
        },
        "settled": _ENDED, "cancelled": _ENDED, "expired": _ENDED,
    },
    "share": {
        "open": {
            "settle": Way("sharer", "paid"),
            "decline": Way("sharer", "declined"),
            "waive": Way("payee", "waived"),
            "cancel": Way("payee", "cancelled"),
            "remind": Way("payee", "open"),
            "expire": Way("time", "expired"),
        },
        "paid": _ENDED, "declined": _ENDED, "waived": _ENDED, "cancelled": _ENDED, "expired": _ENDED,
    },
    "packet": {
        "open": {"claim": Way("anyone", "open", "emptied"), "expire": Way("time", "expired")},
        "emptied": _ENDED, "expired": _ENDED,
    },
    "claim": {"completed": _ENDED},
    "deposit": {"completed": _ENDED},
    "withdraw": {"completed": _ENDED},
    "faucet": {"completed": _ENDED},
}  # fmt: skip
"""By kind, without its `pay.`, and state; a `share` is one of a split. What has no way on has ended."""
BEGINS: Final = {"send": ("completed", "pending"), "share": ("open", "paid")}
"""The states that each can begin in, where that is not the first of the table alone."""
REFUSED: Final = {
    "paid": ("already_paid", "This has been paid."),
    "declined": ("already_declined", "This has been declined."),
    "cancelled": ("already_cancelled", "This has been cancelled."),
    "expired": ("expired", "The time for this has passed."),
    "emptied": ("packet_empty", "All shares of this packet are claimed."),
    "refunded": ("already_refunded", "All of this has been refunded."),
}
"""The code for what has no way in a state, and a sentence for people;
by any other state it is `not_pending`."""
WAITING: Final = frozenset(
    state for life in LIFE.values() for state, ways in life.items() if "expire" in ways
)
"""The states in which a payment's time can run out."""
WHO: Final[dict[tuple[str, str], By]] = {
    (kind, verb): way.by
    for kind, life in LIFE.items() for ways in life.values() for verb, way in ways.items()
}  # fmt: skip
"""Who may do it where it can be done at all, by kind and verb."""


def ways(kind: str, state: str) -> Ways:
    """What can be done with what a kind such as "pay.send" began, in a state;
    nothing where a word is unknown."""
    return LIFE.get(kind.removeprefix("pay."), {}).get(state, _ENDED)
