"""What `ledger verify` does not check, and why that is harmless. Every column that is not named here is
checked."""

from typing import Final

_LOGIN: Final = (
    "A login tells who may come in, not what was said or paid. "
    "At most one comes in or stays out that should not; `user passwd` ends all of a person's."
)
_OFFER: Final = (
    "A quote is held against its payment once it is used. "
    "Until then it is an offer of `exchange_quote_s` seconds that nothing was paid on."
)
_USE: Final = (
    "What was counted towards limits depends on the settings of the moment. "
    "At most somebody spends more or less of their limit for 30 days, and never more than they have."
)
_CARRIED: Final = (
    "The balance is checked as that of this account after this transfer. "
    "Where another had the same, it is true of that one too."
)
_MARK: Final = "How far somebody has read is no event. It lies between 0 and the end of the conversation."

UNCHECKED: Final[dict[str, str]] = {
    **{f"carried.{column}": _CARRIED for column in ("account", "transfer")},
    "head.epoch": "Names the generation of the log. With another one clients page history anew.",
    "member.read": _MARK,
    "member.delivered": _MARK,
    "migration.applied_at": "Nothing goes by it.",
    "payment.counted": "Only whether what comes back is given back to a limit.",
    "payment.fee_on": "Checked where there is a fee; without one it says nothing.",
    **{f"quote.{column}": _OFFER for column in (
        "id", "owner", "sell", "buy", "sell_amount", "buy_amount", "margin", "fee", "rate", "expires_at",
    )},
    **{f"session.{column}": _LOGIN for column in (
        "id", "user", "token_hash", "device", "created_at", "expires_at", "revoked_at",
    )},
    **{f"use.{column}": _USE for column in ("user", "currency", "slot", "amount", "count")},
}  # fmt: skip
"""By table and column."""


def as_markdown() -> str:
    """The same for the documentation: columns with the same reason in one row."""
    reasons: dict[str, list[str]] = {}
    for column, reason in UNCHECKED.items():
        reasons.setdefault(reason, []).append(f"`{column}`")
    lines = [f"| {', '.join(columns)} | {reason} |" for reason, columns in reasons.items()]
    return "\n".join(["| not checked | why that is harmless |", "| --- | --- |", *lines]) + "\n"
