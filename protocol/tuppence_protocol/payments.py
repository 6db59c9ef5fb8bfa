"""The names of before, until their readers have gone."""

# ruff: noqa: PLC0414, I001
# fmt: off
from tuppence_protocol.kinds import CLIENT_FRAMES as CLIENT_FRAMES
from tuppence_protocol.shapes import Acting as Acting
from tuppence_protocol.kinds.wallet import AskPayments as AskPayments
from tuppence_protocol.kinds.pay_quote import AskPreview as AskPreview
from tuppence_protocol.kinds.pay_quote import AskQuote as AskQuote
from tuppence_protocol.kinds.wallet import AskStatement as AskStatement
from tuppence_protocol.kinds.pay_answer import DeclineBody as DeclineBody
from tuppence_protocol.kinds.pay_deposit import FaucetBody as FaucetBody
from tuppence_protocol.kinds.pay_packet import PacketBody as PacketBody
from tuppence_protocol.kinds.pay_answer import PayAccept as PayAccept
from tuppence_protocol.kinds.pay_answer import PayCancel as PayCancel
from tuppence_protocol.kinds.pay_packet import PayClaim as PayClaim
from tuppence_protocol.kinds.pay_answer import PayDecline as PayDecline
from tuppence_protocol.kinds.pay_deposit import PayFaucet as PayFaucet
from tuppence_protocol.kinds.pay_packet import PayPacket as PayPacket
from tuppence_protocol.kinds.pay_refund import PayRefund as PayRefund
from tuppence_protocol.kinds.pay_request import PayRemind as PayRemind
from tuppence_protocol.kinds.pay_request import PayRequest as PayRequest
from tuppence_protocol.kinds.pay_send import PaySend as PaySend
from tuppence_protocol.kinds.pay_split import PaySplit as PaySplit
from tuppence_protocol.kinds.pay_split import PayWaive as PayWaive
from tuppence_protocol.kinds.wallet import PaymentsBody as PaymentsBody
from tuppence_protocol.kinds.pay_quote import PreviewBody as PreviewBody
from tuppence_protocol.kinds.pay_quote import QuoteBody as QuoteBody
from tuppence_protocol.kinds.pay_refund import RefundBody as RefundBody
from tuppence_protocol.kinds.pay_request import RequestBody as RequestBody
from tuppence_protocol.kinds.pay_send import STATED_ALONE as STATED_ALONE
from tuppence_protocol.kinds.pay_send import SendBody as SendBody
from tuppence_protocol.kinds.pay_split import SplitBody as SplitBody
from tuppence_protocol.kinds.pay_split import SplitShare as SplitShare
from tuppence_protocol.kinds.wallet import StatementBody as StatementBody
from tuppence_protocol.kinds.pay_split import WaiveBody as WaiveBody
PAYMENT_FRAMES = tuple(f for f in CLIENT_FRAMES if f.kind.startswith("pay."))
ASK_PAYMENT_FRAMES = tuple(f for f in CLIENT_FRAMES if f.kind in ("ask.payments","ask.statement","ask.quote","ask.preview"))
