"""Whether a red packet was fair, checked by anybody who saw its events. Pure.

The packet promised its shares before the first claim; its end tells the seed from which they follow.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, cast

from msgspec import Struct

from tuppence_protocol import packets
from tuppence_protocol.errors import Refusal
from tuppence_protocol.events import Event
from tuppence_protocol.kinds import PacketClaimed, PacketMade, PaymentExpired
from tuppence_protocol.limits import PACKET_SHARES_MAX
from tuppence_protocol.money import format_amount, parse_amount
from tuppence_protocol.views import Money

_SEED: Final = re.compile(rf"[0-9a-f]{{{2 * packets.SEED_BYTES}}}", re.ASCII)


class PacketCheck(Struct, frozen=True):
    """`wrong` says in words what was; `shares` are those that were drawn, in the order of the claims."""

    fair: bool
    wrong: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()


def check_packet(packet: Event, claims: Iterable[Event], end: Event) -> PacketCheck:
    """Check a packet that has ended: the promise, the seed, and that each claim got the share of its place.

    `claims` are all `pay.claim` events about it; `end` is the last of them, or the `pay.expire`.
    """
    made, seed = packet.body, getattr(end.body, "seed", None)
    if not isinstance(made, PacketMade):
        return PacketCheck(fair=False, wrong=("this is no packet",))
    if end.ref != packet.id or not isinstance(end.body, (PacketClaimed, PaymentExpired)):
        return PacketCheck(fair=False, wrong=("this is not the end of that packet",))
    total = parse_amount(made.total, made.currency)
    drawable = made.mode in ("equal", "lucky") and 1 <= made.count <= PACKET_SHARES_MAX
    if isinstance(total, Refusal) or not drawable or made.count > total:
        return PacketCheck(fair=False, wrong=("such a packet cannot be drawn",))
    if not isinstance(seed, str) or _SEED.fullmatch(seed) is None:
        return PacketCheck(fair=False, wrong=("the seed was not told",))
    mode = cast("packets.Mode", made.mode)
    drawn = packets.draw(bytes.fromhex(seed), total, made.count, mode)
    wrong: list[str] = []
    if not packets.is_fair(packet.id, total, made.count, mode, made.proof, bytes.fromhex(seed)):
        wrong.append("the shares that follow from the seed are not those that were promised")
    taken = {claim.id: claim for claim in (*claims, end) if isinstance(claim.body, PacketClaimed)}
    wrong += _claims(packet, drawn, sorted(taken.values(), key=lambda claim: claim.pos))
    wrong += _rest(made, drawn, len(taken), end)
    shares = tuple(format_amount(share, made.currency) for share in drawn)
    return PacketCheck(fair=not wrong, wrong=tuple(wrong), shares=shares)


def _claims(packet: Event, drawn: list[int], claims: list[Event]) -> Iterator[str]:
    """What is wrong with the claims: the first has the first place, and each the share of its place."""
    currency = getattr(packet.body, "currency", "")
    people: set[str] = set()
    for place, event in enumerate(claims, 1):
        claim = event.body
        assert isinstance(claim, PacketClaimed)
        if event.ref != packet.id or event.conv != packet.conv:
            yield f"claim {place} is about another packet"
        if event.pos <= packet.pos:
            yield f"claim {place} came before the promise"
        if claim.share != place or place > len(drawn):
            yield f"claim {place} was given place {claim.share}"
        elif (claim.amount, claim.currency) != (format_amount(drawn[place - 1], currency), currency):
            yield (
                f"claim {place} got {claim.amount} {claim.currency},"
                f" but {format_amount(drawn[place - 1], currency)} {currency} was drawn"
            )
        if claim.payee in people:
            yield f"claim {place} is a second one by the same person"
        people.add(claim.payee)


def _rest(made: PacketMade, drawn: list[int], claimed: int, end: Event) -> Iterator[str]:
    """What is wrong with the end: all were claimed, or what was not went back."""
    if isinstance(end.body, PacketClaimed):
        if claimed != made.count:
            yield f"{claimed} of {made.count} claims are known"
        return
    rest = Money(format_amount(sum(drawn[claimed:]), made.currency), made.currency)
    if getattr(end.body, "returned", None) != rest:
        yield f"{rest.amount} {rest.currency} should have gone back"
