"""Who tells what of an event of money that has to be judged with others."""

from typing import Final

from . import openings, refunds, transitions
from .payments import Tellers

TELLERS: Final[Tellers] = {
    "pay.send": openings.sent,
    "pay.request": openings.requested,
    "pay.split": openings.split,
    "pay.packet": openings.packed,
    "pay.claim": transitions.took,
    "pay.accept": transitions.accepted,
    "pay.decline": transitions.declined,
    "pay.cancel": transitions.cancelled,
    "pay.refund": refunds.refunded,
    "pay.reverse": refunds.reversed_by_operator,
    "pay.waive": transitions.waived,
    "pay.remind": transitions.reminded,
    "pay.expire": transitions.expired,
}
