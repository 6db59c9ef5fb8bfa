"""What stands in a kind's declaration agrees with its classes."""

import pytest
from msgspec.structs import fields

from tuppence_protocol.kinds import KINDS
from tuppence_protocol.kinds.kind import Kind
from tuppence_protocol.views import PaymentBody


def test_no_name_stands_twice() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_has_the_name_that_its_classes_have_on_the_wire(kind: Kind) -> None:
    for cls in (kind.frame, kind.notice):
        assert cls is None or cls.__struct_config__.tag == kind.name
    assert kind.result is None or kind.name.startswith("ask.")
    assert kind.frame or kind.event or kind.notice


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_examples_have_every_member(kind: Kind) -> None:
    if kind.frame is not None:
        body = next(member.type for member in fields(kind.frame) if member.name == "body")
        assert kind.sent.keys() == {member.encode_name for member in fields(body)}
    if kind.event is not None:
        assert kind.told.keys() == {member.encode_name for member in fields(kind.event)}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_an_event_tells_is_said_by_its_frame_or_else_by_the_declaration(kind: Kind) -> None:
    assert (kind.by_server is not None) == (kind.event is not None and kind.frame is None)
    assert kind.event is None or kind.meaning
    assert kind.event is None or issubclass(kind.event, PaymentBody) == kind.name.startswith("pay.")
