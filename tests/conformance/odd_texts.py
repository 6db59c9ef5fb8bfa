"""Texts that no schema describes: bytes, spelling, nesting, numbers and ids at their edges."""

from typing import Any, Final

from tuppence_protocol.limits import FRAME_BYTES_MAX

from .samples import ID, OTHER_ID

Row = dict[str, Any]

_HEAD: Final = f'{{"kind":"chat.text","id":"{ID}","conv":"@bob","body":'
_SAY: Final = _HEAD + '{"text":"Hi"}}'
_PAY: Final = f'{{"kind":"pay.send","id":"{ID}","conv":"@bob","body":{{"amount":"1","currency":"EUR"'

_CLAIM: Final = f'{{"kind":"pay.claim","id":"{ID}","conv":"@bob","ref":"{OTHER_ID}"'
_REFUND: Final = _CLAIM.replace("claim", "refund")
_SHARES: Final = (
    f'{{"kind":"pay.split","id":"{ID}","conv":"@bob","body":{{"total":"1","currency":"EUR","shares":[%s]}}}}'
)


def _say(text: str) -> str:
    return _HEAD + '{"text":"' + text + '"}}'


def _by(number: str) -> str:
    return f'{_PAY},"not_after":{number}}}}}'


def _row(name: str, raw: str, code: str, field: str = "$") -> Row:
    return {"name": name, "raw": raw, "code": code, "field": field}


def _hex(name: str, before: str, octets: bytes, after: str = "") -> Row:
    raw = before.encode() + octets + after.encode()
    return {"name": name, "raw_hex": raw.hex(), "code": "bad_json", "field": "$"}


def _repeat(name: str, pieces: list[list[Any]], code: str, field: str = "$") -> Row:
    return {"name": name, "repeat": pieces, "code": code, "field": field}


def _good(name: str, frame: str, same: str | None = None) -> Row:
    kind = frame.partition('"kind":"')[2].partition('"')[0] or "chat.text"
    row = {"name": f"{kind}: {name}", "frame": frame, "kind": kind}
    return row if same is None else row | {"same": same}


def _preview(frame: str) -> str:
    return f'{{"kind":"ask.preview","id":"{ID}","body":{{"frame":{frame}}}}}'


VALID: Final[list[Row]] = [
    _good("a text", _SAY),
    _good("white space around", f" \n\t{_SAY}\r\n", "chat.text: a text"),
    _good("white space inside", _SAY.replace(":", " :\t").replace(",", "\n,"), "chat.text: a text"),
    _good("members in another order",
        f'{{"body":{{"text":"Hi"}},"conv":"@bob","id":"{ID}","kind":"chat.text"}}', "chat.text: a text"),
    _good("escapes in text", _say("\\u0048\\u0069"), "chat.text: a text"),
    _good("escapes in a name", _SAY.replace('"text"', '"\\u0074ext"'), "chat.text: a text"),
    _good("surrogate pair", _say("\\ud83d\\ude00")),
    _good("the same emoji unescaped", _say("😀"), "chat.text: surrogate pair"),
    _good("every short escape", _say('\\"\\\\\\/\\b\\f\\n\\r\\t')),
    _good("a backslash and u0000, which is not U+0000", _say("\\\\u0000")),
    _good("U+0001, U+FFFF and U+10FFFF", _say("\\u0001\\uffff\\udbff\\udfff")),
    _good("colons and quotes in text", _say('a:b \\"c\\":{d}')),
    _good("UUID of version 4", _SAY.replace(ID, OTHER_ID)),
    _good("minus zero is zero", _by("-0"), "pay.send: zero"),
    _good("zero", _by("0")),
    _good("2^53 - 1", _by("9007199254740991")),
    _good("body left out", f'{{"kind":"room.leave","id":"{ID}","conv":"@bob"}}'),
    _good("body empty", f'{{"kind":"room.leave","id":"{ID}","conv":"@bob","body":{{}}}}',
        "room.leave: body left out"),
    _good("members left out", f'{{"kind":"room.create","id":"{ID}","body":{{"title":"A"}}}}'),
    _good("members empty",
        f'{{"kind":"room.create","id":"{ID}","body":{{"title":"A","members":[],"kind":"group"}}}}',
        "room.create: members left out"),
    _good("body left out", f"{_CLAIM}}}"),
    _good("body empty", f'{_CLAIM},"body":{{}}}}', "pay.claim: body left out"),
    _good("body left out", f"{_REFUND}}}"),
    _good("body empty", f'{_REFUND},"body":{{}}}}', "pay.refund: body left out"),
    _good("body left out in it", _preview(f"{_CLAIM.replace('claim', 'accept')}}}")),
    _good("body empty in it", _preview(f'{_CLAIM.replace("claim", "accept")},"body":{{}}}}'),
        "ask.preview: body left out in it"),
    _good("question without body", f'{{"kind":"ask.payments","id":"{ID}"}}'),
    _good("what is asked for where nothing is said",
        f'{{"kind":"ask.payments","id":"{ID}","body":{{"limit":50}}}}',
        "ask.payments: question without body"),
]  # fmt: skip

_TEXTS: Final = [
    _row("empty message", "", "bad_json"),
    _row("white space only", "  \n", "bad_json"),
    _row("an array", "[]", "bad_frame"),
    _row("null", "null", "bad_frame"),
    _row("a string", '"chat.text"', "bad_frame"),
    _row("a number", "1", "bad_frame"),
    _row("not JSON", "hello", "bad_json"),
    _row("cut off", _SAY[:-1], "bad_json"),
    _row("trailing text", _SAY + " x", "bad_json"),
    _row("trailing comma", _HEAD + '{"text":"Hi",}}', "bad_json"),
    _row("two frames", _SAY + _SAY, "bad_json"),
    _row("two frames on two lines", _SAY + "\n" + _SAY, "bad_json"),
    _row("comment", "/* hi */" + _SAY, "bad_json"),
    _row("single quotes", _SAY.replace('"', "'"), "bad_json"),
    _row("name without quotes", _SAY.replace('"kind"', "kind"), "bad_json"),
    _row("tab in text", _say("a\tb"), "bad_json"),
    _row("newline in text", _say("a\nb"), "bad_json"),
    _row("U+0000 in text, unescaped", _say("a\x00b"), "bad_json"),
    _row("U+0000 in text", _say("a\\u0000b"), "bad_frame", "$.body"),
    _row("U+0000 after a backslash", _say("a\\\\\\u0000b"), "bad_frame", "$.body"),
    _row("unknown escape", _say("\\x41"), "bad_json"),
    _row("lone high surrogate", _say("\\ud800"), "bad_json"),
    _row("lone low surrogate", _say("\\udc00"), "bad_json"),
    _row("high surrogate and a letter", _say("\\ud800\\u0041"), "bad_json"),
    _row("two high surrogates", _say("\\ud800\\ud800"), "bad_json"),
    _row("True", _HEAD + '{"text":True}}', "bad_json"),
    _row("no kind", "{}", "bad_frame"),
    _row("kind null", '{"kind":null}', "bad_frame", "$.kind"),
    _row("kind a number", '{"kind":5}', "bad_frame", "$.kind"),
    _row("kind unknown", '{"kind":"chat.nope"}', "unknown_kind", "$.kind"),
    _row("kind empty", '{"kind":""}', "unknown_kind", "$.kind"),
    _row("kind in capitals", _SAY.replace("chat.text", "CHAT.TEXT"), "unknown_kind", "$.kind"),
    _row("kind of a server", '{"kind":"ready","body":{}}', "unknown_kind", "$.kind"),
    _row("kind of the office", _SAY.replace("chat.text", "pay.deposit"), "unknown_kind", "$.kind"),
    _row("id with a live frame", f'{{"kind":"live.typing","id":"{ID}","conv":"@bob"}}', "bad_frame", "$.id"),
    _row("conv with room.create",
        f'{{"kind":"room.create","id":"{ID}","conv":"@bob","body":{{"title":"A"}}}}', "bad_frame", "$.conv"),
]  # fmt: skip

_TWICE: Final = [
    _row("text twice", _HEAD + '{"text":"a","text":"b"}}', "bad_frame", "$..text"),
    _row("text twice alike", _HEAD + '{"text":"a","text":"a"}}', "bad_frame", "$..text"),
    _row("amount twice", _PAY + ',"amount":"100"}}', "bad_frame", "$..amount"),
    _row("amount twice, escaped", _PAY + ',"\\u0061mount":"100"}}', "bad_frame", "$..amount"),
    _row("body twice", _SAY[:-1] + ',"body":{"text":"b"}}', "bad_frame", "$..body"),
    _row("id twice", _SAY[:-1] + f',"id":"{OTHER_ID}"}}', "bad_frame", "$..id"),
    _row("kind twice", _SAY[:-1] + ',"kind":"chat.text"}', "bad_frame", "$..kind"),
    _row("conv twice, body left out", f'{{"kind":"room.leave","id":"{ID}","conv":"@bob","conv":"@eve"}}',
        "bad_frame", "$..conv"),
    _row("title twice, members left out",
        f'{{"kind":"room.create","id":"{ID}","body":{{"title":"a","title":"b"}}}}', "bad_frame", "$..title"),
    _row("conv twice in a question", f'{{"kind":"ask.members","id":"{ID}","conv":"@bob","conv":"@eve"}}',
        "bad_frame", "$..conv"),
    _row("token twice", '{"kind":"hello","body":{"token":"a","token":"b"}}', "bad_frame", "$..token"),
    _row("seq twice", '{"kind":"live.read","conv":"@bob","body":{"seq":1,"seq":2}}', "bad_frame", "$..seq"),
]  # fmt: skip

_BYTES: Final = [
    _hex("byte order mark", "", b"\xef\xbb\xbf", _SAY),
    _hex("UTF-16", "", _SAY.encode("utf-16-le")),
    _hex("a byte that UTF-8 never has", _HEAD + '{"text":"', b"\xff", '"}}'),
    _hex("a sequence cut off", _HEAD + '{"text":"', b"\xe2\x82", '"}}'),
    _hex("a continuation byte alone", _HEAD + '{"text":"', b"\x80", '"}}'),
    _hex("overlong slash", _HEAD + '{"text":"', b"\xc0\xaf", '"}}'),
    _hex("overlong U+0000", _HEAD + '{"text":"', b"\xc0\x80", '"}}'),
    _hex("surrogate in UTF-8", _HEAD + '{"text":"', b"\xed\xa0\x80", '"}}'),
    _hex("past U+10FFFF", _HEAD + '{"text":"', b"\xf4\x90\x80\x80", '"}}'),
    _hex("bad UTF-8 in a name", _HEAD + '{"', b"\xff", '":1}}'),
    _hex("U+0000 after the frame", _SAY, b"\x00"),
]  # fmt: skip

_SIZES: Final = [
    _repeat("FRAME_BYTES_MAX + 1", [[_SAY, 1], [" ", FRAME_BYTES_MAX + 1 - len(_SAY)]], "too_big"),
    _repeat("FRAME_BYTES_MAX + 1 in bytes, not characters", [['"', 1], ["é", 32768], ['"', 1]], "too_big"),
    _repeat("100,000 arrays", [["[", 100_000]], "too_big"),
    _repeat("60,000 arrays", [["[", 60_000]], "bad_frame"),
    _repeat("20,000 arrays as body", [[_HEAD, 1], ["[", 20_000], ["]", 20_000], ["}", 1]], "bad_frame",
        "$.body"),
    _repeat("30,000 arrays before the kind", [['{"body":', 1], ["[", 30_000], ["]", 30_000],
        [f',"kind":"chat.text","id":"{ID}","conv":"@bob"}}', 1]], "bad_json"),
]  # fmt: skip

_NUMBERS: Final = [
    *(
        _row(f"number {n}", _by(n), "bad_json")
        for n in ("NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10")
    ),
    *(
        _row(f"number {n}", _by(n), "bad_frame", "$.body.not_after")
        for n in (
            "-1", "1.5", "1.0", "1e3", "1E+3", "1e400", "-1e400", "9007199254740992", "9223372036854775807",
            "9223372036854775808", "18446744073709551616", "9007199254740991.0", "true", "null", '"5"', "[1]",
        )
    ),
    _repeat("number of 4,000 digits", [[_PAY + ',"not_after":', 1], ["9", 4_000], ["}}", 1]], "bad_frame",
        "$.body.not_after"),
    _row("amount a number", _PAY.replace('"1"', "1") + "}}", "bad_frame", "$.body.amount"),
    _row("amount a decimal number", _PAY.replace('"1"', "12.50") + "}}", "bad_frame", "$.body.amount"),
]  # fmt: skip

_IDS: Final = [
    _row(f"id {what}", _SAY.replace(ID, wrong), "bad_id", "$.id")
    for what, wrong in (
        ("upper case", ID.upper()),
        ("of version 1", ID.replace("-7b1a", "-1b1a")),
        ("of version 8", ID.replace("-7b1a", "-8b1a")),
        ("of another variant", ID.replace("-9c55", "-cc55")),
        ("in braces", f"{{{ID}}}"),
        ("as a URN", f"urn:uuid:{ID}"),
        ("without hyphens", ID.replace("-", "")),
        ("empty", ""),
        ("nil", "00000000-0000-0000-0000-000000000000"),
        ("cut off", ID[:-1]),
        ("with a newline", ID + "\\n"),
        ("with a space", " " + ID),
        ("with a full-width digit", ID[:-1] + "\uff11"),
    )
]

_MONEY: Final = [
    *(
        _row(f"accept {word}", f'{_PAY},"accept":{word}}}}}', "bad_frame", "$.body.accept")
        for word in ("false", "1", "0", '"true"', "[]")
    ),
    _row("accept True", f'{_PAY},"accept":True}}}}', "bad_json"),
    _row("a fee in a payment", f'{_PAY},"fee":"1"}}}}', "bad_frame", "$.body.fee"),
    _row("state in a payment", f'{_PAY},"state":"completed"}}}}', "bad_frame", "$.body.state"),
    _row("a ref that is not an id", _CLAIM.replace(OTHER_ID, "packet") + "}", "bad_id", "$.ref"),
    _row("a ref in capitals", _CLAIM.replace(OTHER_ID, OTHER_ID.upper()) + "}", "bad_id", "$.ref"),
    _row("an amount to claim", _CLAIM + ',"body":{"amount":"1"}}', "bad_frame", "$.body.amount"),
    _row("kind of the server", f"{_CLAIM.replace('claim', 'expire')}}}", "unknown_kind", "$.kind"),
    _row("a share as text", _SHARES % '"@bob"', "bad_frame", "$.body.shares[0]"),
    _row("an amount that is a number in a share", _SHARES % '{"user":"@bob","amount":1}', "bad_frame",
        "$.body.shares[0].amount"),
    _row("state in a share", _SHARES % '{"user":"@bob"},{"user":"@eve","state":"paid"}', "bad_frame",
        "$.body.shares[1].state"),
    _row("user twice in a share", _SHARES % '{"user":"@bob","user":"@eve"}', "bad_frame", "$..user"),
    _row("ref twice, body left out", f'{_CLAIM},"ref":"{ID}"}}', "bad_frame", "$..ref"),
    _row("preview of a text", _preview(_SAY), "bad_frame", "$.body.frame.kind"),
    _row("preview of a claim", _preview(f"{_CLAIM}}}"), "bad_frame", "$.body.frame.kind"),
    _row("preview of a preview", _preview(_preview(_PAY + "}}")), "bad_frame", "$.body.frame.kind"),
    _row("preview of what has no kind", _preview("{}"), "bad_frame", "$.body.frame"),
    _row("amount twice in a preview", _preview(f'{_PAY},"amount":"2"}}}}'), "bad_frame", "$..amount"),
    _row("ref twice in a preview", _preview(f'{_REFUND},"ref":"{ID}"}}'), "bad_frame", "$..ref"),
    _row("U+0000 in a note", f'{_PAY},"note":"\\u0000"}}}}', "bad_frame", "$.body"),
]  # fmt: skip

INVALID: Final[list[Row]] = [*_TEXTS, *_TWICE, *_BYTES, *_SIZES, *_NUMBERS, *_IDS, *_MONEY]
