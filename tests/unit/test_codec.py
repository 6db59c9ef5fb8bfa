"""Bytes in, frames or refusals out; stored bytes come back unchanged."""

import json

import msgspec
import orjson
import pytest

from tuppence_protocol import codec, kinds, views
from tuppence_protocol.errors import CODES, Refusal
from tuppence_protocol.events import Event, UnknownBody
from tuppence_protocol.kinds import (
    AskPayments,
    AskPreview,
    AskQuote,
    AskStatement,
    AskWallet,
    ChatText,
    Hello,
    HelloBody,
    PayAccept,
    PayClaim,
    PayRefund,
    PaySend,
    PaySplit,
    Ping,
    PreviewBody,
    RefundBody,
    RoomLeave,
    SendBody,
    TextBody,
)
from tuppence_protocol.limits import FRAME_BYTES_MAX
from tuppence_protocol.shapes import Nothing
from tuppence_protocol.views import BalanceView, Money, Share

ID = "0197a1c2-7d3e-7b1a-9c55-0123456789ab"
TEXT = f'{{"kind":"chat.text","id":"{ID}","conv":"@bob","body":{{"text":"Hi"}}}}'.encode()
OTHER_ID = "3f2b8c1e-94d7-4a06-8e21-fedcba987654"
CLAIM = f'{{"kind":"pay.claim","id":"{ID}","conv":"@bob","ref":"{OTHER_ID}"}}'.encode()
BODY = b'{"text":"a","order":[2,1],"z":1.50}'


def refused(raw: bytes | str) -> Refusal:
    refusal = codec.decode_client(raw)
    assert isinstance(refusal, Refusal)
    return refusal


def read(raw: bytes | str) -> codec.Decoded:
    decoded = codec.decode_client(raw)
    assert isinstance(decoded, codec.Decoded)
    return decoded


def content(raw: bytes | str) -> bytes:
    return read(raw).content


def test_chat_and_money_are_one_shape() -> None:
    decoded = codec.decode_client(TEXT)
    assert decoded == codec.Decoded(ChatText(id=ID, conv="@bob", body=TextBody(text="Hi")), TEXT)
    pay = PaySend(id=ID, conv="@bob", body=SendBody(amount="12.50", currency="EUR"))
    assert codec.decode_client(codec.encode(pay)) == codec.Decoded(pay, codec.encode(pay))


def test_text_and_bytes_are_read_alike() -> None:
    assert codec.decode_client(TEXT.decode()) == codec.decode_client(TEXT)


def test_defaults_are_filled_in() -> None:
    assert read('{"kind":"ping"}').frame == Ping()
    leave = read(f'{{"kind":"room.leave","id":"{ID}","conv":"self"}}')
    assert leave.frame == RoomLeave(id=ID, conv="self", body=Nothing())
    hello = read('{"kind":"hello","body":{"token":"t"}}')
    assert hello.frame == Hello(body=HelloBody(token="t", version=1))


@pytest.mark.parametrize(
    ("other", "member"),
    [
        (TEXT.replace(b"Hi", b"hi"), "body"),
        (TEXT.replace(b"@bob", b"self"), "conv"),
        (TEXT.replace(b'"body"', f'"ref":"{ID}","body"'.encode()), "ref"),
        (TEXT.replace(b'"Hi"', b'"Hi","mentions":[]'), "body"),
    ],
)
def test_other_content_has_another_canonical_text(other: bytes, member: str) -> None:
    mine, theirs = codec.fields_of(content(TEXT)), codec.fields_of(content(other))
    assert [name for name in mine | theirs if mine.get(name) != theirs.get(name)] == [member]


def test_amounts_are_compared_as_written() -> None:
    pay = codec.encode(PaySend(id=ID, conv="@bob", body=SendBody(amount="12.5", currency="EUR")))
    assert content(pay) != content(pay.replace(b"12.5", b"12.50"))


def test_frame_that_acts_names_the_payment() -> None:
    assert read(CLAIM).frame == PayClaim(id=ID, conv="@bob", ref=OTHER_ID)
    assert content(CLAIM) == content(CLAIM[:-1] + b',"body":{}}')
    without = refused(CLAIM.replace(f',"ref":"{OTHER_ID}"'.encode(), b""))
    assert (without.code, without.message) == ("bad_frame", "Object missing required field `ref`.")
    assert refused(CLAIM.replace(OTHER_ID.encode(), b"packet")).field == "$.ref"


def test_other_amount_or_person_in_a_share_is_other_content() -> None:
    shares = '[{"user":"@bob","amount":"1.00"},{"user":"@eve","amount":"2.00"}]'
    body = f'{{"total":"3.00","currency":"EUR","shares":{shares}}}'
    split = f'{{"kind":"pay.split","id":"{ID}","conv":"@bob","body":{body}}}'
    frame = read(split).frame
    assert isinstance(frame, PaySplit)
    assert [share.user for share in frame.body.shares] == ["@bob", "@eve"]
    for other in (
        split.replace("eve", "ann"),
        split.replace("2.00", "3.00"),
        split.replace(',"amount":"1.00"', ""),
    ):
        assert content(other) != content(split)


def test_preview_holds_the_frame_that_would_be_sent() -> None:
    accept = PayAccept(id=OTHER_ID, conv="@bob", ref=ID)
    raw = codec.encode(AskPreview(id=ID, body=PreviewBody(accept)))
    assert read(raw).frame == AskPreview(id=ID, body=PreviewBody(accept))
    assert codec.encode(accept) in raw


def test_member_given_twice_is_found_in_a_preview() -> None:
    """Where the canonical text adds a body, so that counting colons alone would not find it."""
    refund = codec.encode(PayRefund(id=OTHER_ID, conv="@bob", ref=ID, body=RefundBody())).decode()
    bare = refund.replace(',"body":{}', "")
    assert bare != refund
    twice = bare.replace('"ref"', f'"ref":"{OTHER_ID}","ref"')
    preview = f'{{"kind":"ask.preview","id":"{ID}","body":{{"frame":%s}}}}'
    assert content(preview % bare) == content(preview % refund)
    assert refused(preview % twice).field == "$..ref"


def test_size_is_counted_in_bytes_for_str_too() -> None:
    padded = TEXT + b" " * (FRAME_BYTES_MAX - len(TEXT))
    assert codec.decode_client(padded) == codec.decode_client(TEXT)
    assert refused(padded + b" ").code == "too_big"
    wide = TEXT.decode().replace("Hi", "é" * 7_000)
    assert content(wide + " " * (FRAME_BYTES_MAX - len(wide.encode())))
    assert refused(wide + " " * (FRAME_BYTES_MAX - len(wide.encode()) + 1)).code == "too_big"


def test_str_with_a_lone_surrogate_is_refused() -> None:
    assert refused(TEXT.decode().replace("Hi", "\ud800")).code == "bad_json"


def test_member_given_twice_is_found_behind_a_default() -> None:
    for raw in (
        f'{{"kind":"room.leave","id":"{ID}","conv":"@bob","conv":"@eve"}}',
        f'{{"kind":"room.create","id":"{ID}","body":{{"title":"a","title":"b:"}}}}',
        '{"kind":"ping","body":{},"body":{"pos":1}}',
        '{"kind":"hello","body":{"token":"a","token":"b"}}',
    ):
        assert "twice" in refused(raw).message


def test_backslash_and_u0000_is_text_and_u0000_is_not() -> None:
    assert content(TEXT.replace(b"Hi", rb"\\u0000"))
    assert content(TEXT.replace(b"Hi", rb"\\\\u0000"))
    for spelling in (rb"\u0000", rb"\\\u0000", rb"a\u0000b"):
        assert refused(TEXT.replace(b"Hi", spelling)).message.startswith("U+0000")


def test_refusal_names_path_and_expectation() -> None:
    refusal = refused(TEXT.replace(b'"Hi"', b"5"))
    assert refusal == Refusal("bad_frame", "Expected `str`, got `int`.", "$.body.text")
    assert refusal.body() == {
        "code": "bad_frame",
        "message": "Expected `str`, got `int`.",
        "field": "$.body.text",
        "final": True,
        "retry_ms": None,
        "state": None,
    }
    assert refusal.status == CODES["bad_frame"].status == 400


def test_hostile_member_names_stay_short() -> None:
    assert len(refused(TEXT.replace(b"text", b"k" * 60_000)).field or "") <= 200
    assert refused(TEXT.replace(b'"text"', b'"a` - at `$.kind"')).code == "bad_frame"
    assert len(refused(b'{"kind":"' + b"k" * 60_000 + b'"}').message) < 300


@pytest.mark.parametrize(
    ("raw", "id"),
    [
        (TEXT.replace(b"Hi", b""), ID),
        (TEXT.replace(b"body", b"bodies"), ID),
        (TEXT.replace(ID.encode(), ID.upper().encode()), None),
        (b"[]", None),
        (b"5", None),
        (b'{"id":5}', None),
        (b'{"id":["' + ID.encode() + b'"]}', None),
        (b'{"id":', None),
        (b"\xff", None),
        (b"[" * 60_000, None),
        ("\ud800", None),
        ("", None),
    ],
)
def test_claimed_id(raw: bytes | str, id: str | None) -> None:  # noqa: A002 - the wire's word
    assert codec.claimed_id(raw) == id


def test_stored_body_is_spliced_in_unchanged() -> None:
    head = codec.encode_head("chat.text", ID, "c_1", 42, 90210, "u_1", 1790000000123, None)
    wire = codec.splice(head, BODY)
    assert wire == (
        b'{"kind":"chat.text","id":"' + ID.encode() + b'","conv":"c_1","seq":42,"pos":90210,'
        b'"from":"u_1","at":1790000000123,"body":{"text":"a","order":[2,1],"z":1.50}}'
    )
    event = codec.decode_event(wire)
    assert (event.from_, event.seq, event.ref) == ("u_1", 42, msgspec.UNSET)
    assert event.body == kinds.TextPosted(text="a")
    assert codec.decode_head(head)["pos"] == 90210
    with_ref = codec.encode_head("chat.text", ID, "c_1", 1, 1, "u_1", 1, ID)
    assert codec.decode_event(codec.splice(with_ref, BODY)).ref == ID


def test_result_carries_stored_bytes_and_structs() -> None:
    view = BalanceView(currency="EUR", available="1.00", held="0.00", pos=7)
    raw = codec.encode_result(ID, events=[codec.stored(BODY)], balances=[view], complete=True)
    assert BODY in raw
    assert orjson.loads(raw)["body"]["balances"] == [msgspec.to_builtins(view)]
    with pytest.raises(TypeError):
        codec.encode_result(ID, odd=object())


def test_result_is_read_by_the_kind_of_its_ask() -> None:
    raw = codec.encode_result(ID, balances=[BalanceView("EUR", "1.00", "0.00", 7)])
    result = codec.decode_server(raw)
    assert isinstance(result, kinds.Result)
    assert codec.decode_result(AskWallet.kind, result.body) == kinds.WalletResult(
        balances=[BalanceView("EUR", "1.00", "0.00", 7)]
    )


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        (
            AskPayments.kind,
            kinds.PaymentsResult(
                payments=[
                    kinds.PaymentView(
                        id=ID, kind="pay.split", conv="c_1", pos=5, at=1, amount="10.00", currency="EUR",
                        state="open", payee="u_1", expires_at=9,
                        shares=[Share("u_2", "10.00", "open")],
                    )
                ],
                pos=7,
                next=5,
            ),
        ),
        (
            AskStatement.kind,
            kinds.StatementResult(
                currency="EUR",
                opening="10.00",
                lines=[
                    kinds.StatementLine(
                        pos=5, at=1, id=ID, conv="c_1", kind="pay.send", code="pay.send", amount="-2.50",
                        balance="7.50", with_="u_2",
                    )
                ],
                closing="7.50",
                pos=7,
            ),
        ),
        (
            AskQuote.kind,
            kinds.QuoteResult(
                kinds.QuoteView(
                    id=ID, sell=Money("12.50", "EUR"), buy=Money("13.45", "USD"),
                    rate="1.0824", margin="0.07", fee="0.00", expires_at=9,
                )
            ),
        ),
    ],
)  # fmt: skip
def test_answers_about_money_are_read(kind: str, result: views.Extensible) -> None:
    raw = codec.encode_result(ID, **{name: getattr(result, name) for name in result.__struct_fields__})
    message = codec.decode_server(raw)
    assert isinstance(message, kinds.Result)
    assert codec.decode_result(kind, message.body) == result


def test_preview_answers_with_the_body_as_the_event_would_have_it() -> None:
    body = b'{"amount":"2.00","currency":"EUR","payee":"u_1","state":"refunded","refunded":"2.00","alt":"a"}'
    raw = codec.encode_result(
        ID,
        kind="pay.refund",
        body=codec.stored(body),
        spends=[Money("2.00", "EUR")],
        balances=[],
    )
    message = codec.decode_server(raw)
    assert isinstance(message, kinds.Result)
    answer = codec.decode_result(AskPreview.kind, message.body)
    assert isinstance(answer, kinds.PreviewResult)
    assert bytes(answer.body) == body
    assert isinstance(codec.decode_body(answer.kind, answer.body), kinds.PaymentRefunded)


def test_error_frame() -> None:
    refusal = Refusal("rate_limited", "Wait.", retry_ms=250)
    message = codec.decode_server(codec.encode_error(refusal, ID))
    assert isinstance(message, kinds.Error)
    assert (message.ref, message.body.retry_ms, message.body.final) == (ID, 250, False)
    assert "ref" not in json.loads(codec.encode_error(refusal))


def test_newer_server_is_understood_as_far_as_known() -> None:
    assert codec.decode_server(b'{"kind":"live.hologram","body":{"x":1}}') is None
    assert codec.decode_server(b'{"kind":"welcome"}') is None
    pong = codec.decode_server(b'{"kind":"pong","new":[],"body":{"now":5,"new":{}}}')
    assert pong == kinds.Pong(body=kinds.PongBody(now=5))
    newer = TEXT.replace(b"chat.text", b"chat.poll").replace(
        b'"body"', b'"seq":1,"pos":1,"from":"u","at":1,"body"'
    )
    event = codec.decode_server(newer)
    assert isinstance(event, Event)
    assert event.body == UnknownBody(alt="")


def test_newer_words_and_members_of_money_are_understood_as_far_as_known() -> None:
    odd = b'{"state":"half_cancelled","alt":"a","x_new":[1]}'
    assert codec.decode_body("pay.cancel", odd) == kinds.PaymentCancelled("half_cancelled", "a")
    assert codec.decode_body("pay.cancel", b'{"alt":"a"}') == UnknownBody("a")
    assert codec.decode_body("pay.barter", odd) == UnknownBody("a")


def test_every_event_of_money_has_a_plain_text() -> None:
    for cls in kinds.PAYMENT_BODIES.values():
        assert "alt" in cls.__struct_fields__


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"kind":5}', b'{"kind":"pong"}', b"\xff", b'{"kind":"chat.text"}']
)
def test_what_is_no_frame_at_all_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):
        codec.decode_server(raw)


def test_nesting_from_a_server_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="deep"):
        codec.decode_server(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"kind":"pong"}')


def test_decode_strict_refuses_like_a_frame() -> None:
    assert codec.decode_strict(b'{"text":"a"}', TextBody) == TextBody(text="a")
    for raw, code in ((b'{"text":""}', "bad_frame"), (b"{", "bad_json"), (b" " * 65_537, "too_big")):
        refusal = codec.decode_strict(raw, TextBody)
        assert isinstance(refusal, Refusal)
        assert refusal.code == code
