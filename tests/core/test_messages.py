"""Messages are texts that remember their template."""

from __future__ import annotations

import copy

from p5core.errors import DataError
from p5core.runs.documents import StoredMessage
from p5core.system.messages import Message


def test_a_message_is_its_text() -> None:
    message = Message("rating below {least}", least=3)
    assert message == "rating below 3"
    assert message.template == "rating below {least}"
    assert DataError(message).message is message
    assert DataError("plain").message == str(DataError("plain")) == "plain"


def test_values_are_never_read_as_templates() -> None:
    message = Message("columns {names}", names="{x} and {names}")
    again = copy.deepcopy(message)
    assert again == message == "columns {x} and {names}"
    assert again.template == message.template
    assert StoredMessage.model_validate_json(StoredMessage.of(message).model_dump_json()).message() == message


def test_messages_hold_messages() -> None:
    unit = Message("seconds since 1970")
    assert Message("taken as {unit}", unit=unit).values["unit"] is unit
