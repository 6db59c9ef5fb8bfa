"""Who tells what of an event of money that has to be judged with others."""

from typing import Final

from . import acts, beginnings, refunds
from .stories import Tellers

TELLERS: Final[Tellers] = {
    "pay.send": beginnings.sent,
    "pay.request": beginnings.requested,
    "pay.split": beginnings.split,
    "pay.packet": beginnings.packed,
    "pay.claim": acts.took,
    "pay.accept": acts.accepted,
    "pay.decline": acts.declined,
    "pay.cancel": acts.cancelled,
    "pay.refund": refunds.refunded,
    "pay.reverse": refunds.reversed_by_operator,
    "pay.waive": acts.waived,
    "pay.remind": acts.reminded,
    "pay.expire": acts.expired,
}
