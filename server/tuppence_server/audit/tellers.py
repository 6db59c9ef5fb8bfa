"""Who tells what of an event of money that has to be judged with others."""

from typing import Final

from tuppence_protocol import kinds

from . import openings, refunds, transitions
from .payments import Tellers

TELLERS: Final[Tellers] = {
    kinds.PaymentSent: openings.sent,
    kinds.PaymentRequested: openings.requested,
    kinds.BillSplit: openings.split,
    kinds.PacketMade: openings.packed,
    kinds.PacketClaimed: transitions.took,
    kinds.PaymentAccepted: transitions.accepted,
    kinds.PaymentDeclined: transitions.declined,
    kinds.PaymentCancelled: transitions.cancelled,
    kinds.PaymentRefunded: refunds.refunded,
    kinds.PaymentReversed: refunds.reversed_by_operator,
    kinds.ShareWaived: transitions.waived,
    kinds.PaymentReminded: transitions.reminded,
    kinds.PaymentExpired: transitions.expired,
}
