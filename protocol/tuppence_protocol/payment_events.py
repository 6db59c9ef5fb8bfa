"""The names of before, until their readers have gone."""

# ruff: noqa: PLC0414, I001
# fmt: off
from tuppence_protocol.kinds import RESULTS as RESULTS
from tuppence_protocol.views import BalanceView as BalanceView
from tuppence_protocol.kinds.pay_split import BillSplit as BillSplit
from tuppence_protocol.kinds.pay_deposit import Deposited as Deposited
from tuppence_protocol.views import Money as Money
from tuppence_protocol.kinds import PAYMENT_BODIES as PAYMENT_BODIES
from tuppence_protocol.kinds.pay_packet import PacketClaimed as PacketClaimed
from tuppence_protocol.kinds.pay_packet import PacketMade as PacketMade
from tuppence_protocol.kinds.pay_answer import PaymentAccepted as PaymentAccepted
from tuppence_protocol.views import PaymentBody as PaymentBody
from tuppence_protocol.kinds.pay_answer import PaymentCancelled as PaymentCancelled
from tuppence_protocol.kinds.pay_answer import PaymentDeclined as PaymentDeclined
from tuppence_protocol.kinds.pay_answer import PaymentExpired as PaymentExpired
from tuppence_protocol.kinds.pay_refund import PaymentRefunded as PaymentRefunded
from tuppence_protocol.kinds.pay_request import PaymentReminded as PaymentReminded
from tuppence_protocol.kinds.pay_request import PaymentRequested as PaymentRequested
from tuppence_protocol.kinds.pay_refund import PaymentReversed as PaymentReversed
from tuppence_protocol.kinds.pay_send import PaymentSent as PaymentSent
from tuppence_protocol.kinds.wallet import PaymentView as PaymentView
from tuppence_protocol.kinds.wallet import PaymentsResult as PaymentsResult
from tuppence_protocol.kinds.pay_quote import PreviewResult as PreviewResult
from tuppence_protocol.kinds.pay_quote import QuoteResult as QuoteResult
from tuppence_protocol.kinds.pay_quote import QuoteView as QuoteView
from tuppence_protocol.kinds.pay_send import Settles as Settles
from tuppence_protocol.views import Share as Share
from tuppence_protocol.kinds.pay_split import ShareWaived as ShareWaived
from tuppence_protocol.kinds.wallet import StatementLine as StatementLine
from tuppence_protocol.kinds.wallet import StatementResult as StatementResult
from tuppence_protocol.kinds.pay_deposit import Withdrawn as Withdrawn
PAYMENT_RESULTS = {k: RESULTS[k] for k in ("ask.payments","ask.statement","ask.quote","ask.preview")}
