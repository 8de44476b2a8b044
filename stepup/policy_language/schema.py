"""An action's declared attributes as typed messages, and a request read into them.

Each of `subject`, `resource`, `action`, `context` and `auth` is a protobuf message made when the
document is loaded, so that a mistyped name in a condition is an error at that moment and `has()`
means what it says.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import Message
from typing_extensions import override

from stepup.domain.approval import CLOCK_LEEWAY
from stepup.domain.assurance import AuthnContext, Ladder
from stepup.domain.binding import Value
from stepup.domain.condition import AttributeSchema, EvaluationError, Inputs, Reading
from stepup.domain.decision_request import Attribute, AttributeType, DecisionRequest, Entity
from stepup.policy_language.readings import given, reading_of
from stepup.policy_language.values import MAX_TEXT_BYTES, Checked, WrongValueError, reader_of

PACKAGE = "stepup.request"
MAX_CONTEXT_BYTES = 16 * 1024

_Field = descriptor_pb2.FieldDescriptorProto

BUILT_IN: Mapping[str, tuple[Attribute, ...]] = {
    "subject": (
        Attribute(name="id", type=AttributeType.STRING, required=True),
        Attribute(name="type", type=AttributeType.STRING, required=True),
    ),
    "resource": (
        Attribute(name="id", type=AttributeType.STRING, required=True),
        Attribute(name="type", type=AttributeType.STRING, required=True),
    ),
    "action": (Attribute(name="name", type=AttributeType.STRING, required=True),),
    "context": (),
    "auth": (
        Attribute(name="acr", type=AttributeType.STRING, required=True),
        Attribute(name="level", type=AttributeType.INT, required=True),
        Attribute(name="amr", type=AttributeType.LIST, required=True),
        Attribute(name="age_seconds", type=AttributeType.INT),
    ),
}
"""What each variable has without being declared."""


class CheckedInputs(Inputs):
    """A request's attributes as messages; conditions keep what they make of them here."""

    __slots__ = ("absent", "activation", "variables")

    def __init__(self, variables: dict[str, Message | datetime], absent: frozenset[str]) -> None:
        self.variables = variables
        self.absent = absent
        self.activation: Any = None


class _Column(NamedTuple):
    path: str
    entity: Entity
    name: str
    read: Callable[[Value], Checked]
    required: bool
    default: Value
    nullable: bool


class RequestSchema(AttributeSchema):
    """The declared attributes of one action, compiled."""

    def __init__(self, attributes: Sequence[Attribute], ladder: Ladder) -> None:
        self.attributes = tuple(attributes)
        self._ranks = {acr: rank for rank, acr in enumerate(ladder.acrs)}
        self._columns = [_column(attribute) for attribute in attributes]
        self.pool = descriptor_pool.DescriptorPool()
        for module in (timestamp_pb2, duration_pb2, wrappers_pb2):
            self.pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        self.pool.AddSerializedFile(_file(attributes).SerializeToString())
        self._messages: dict[str, Callable[..., Message]] = {
            variable: message_factory.GetMessageClass(
                self.pool.FindMessageTypeByName(f"{PACKAGE}.{variable}")
            )
            for variable in BUILT_IN
        }

    @override
    def read(
        self, request: DecisionRequest, context: AuthnContext | None, now: datetime
    ) -> CheckedInputs | EvaluationError:
        values = _identifiers(request)
        absent: set[str] = set()
        wrong: set[str] = set()
        faults: list[str] = []
        if any(
            _is_too_long(text) for name in ("subject", "resource") for text in values[name].values()
        ):
            faults.append("an identifier is too long")
        for column in self._columns:
            sent = request.properties_of(column.entity).get(column.name, column.default)
            if sent is None:
                absent.add(column.path)
                if column.required:
                    faults.append(f"{column.path} is missing")
                continue
            try:
                value = column.read(sent)
            except WrongValueError as error:
                wrong.add(column.name)
                faults.append(f"{column.path} {error}")
                continue
            values[column.entity][column.name] = {"value": value} if column.nullable else value
        if faults:
            return EvaluationError(faults[0], frozenset(wrong))
        values["auth"] = self._auth(context, now)
        return self._inputs(values, absent, now)

    @override
    def readings(
        self, request: DecisionRequest, context: AuthnContext | None, now: datetime
    ) -> tuple[Reading, ...]:
        auth = self._auth(context, now)
        age = auth.get("age_seconds")
        values = {**_identifiers(request), "auth": {**auth, "age_seconds": age and age["value"]}}
        declared = (reading_of(attribute, request) for attribute in self.attributes)
        return (*declared, *given(values, BUILT_IN, now))

    def _inputs(
        self, values: Mapping[str, dict[str, Any]], absent: set[str], now: datetime
    ) -> CheckedInputs | EvaluationError:
        variables: dict[str, Message | datetime] = {"now": now}
        size = 0
        try:
            for variable, make in self._messages.items():
                message = make(**values[variable])
                size += message.ByteSize()
                variables[variable] = message
        except ValueError:
            # Half a character of a surrogate pair, in an identifier.
            return EvaluationError("the request holds invalid text")
        if size > MAX_CONTEXT_BYTES:
            return EvaluationError("the request's attributes are larger than 16 KiB")
        return CheckedInputs(variables, frozenset(absent))

    def _auth(self, context: AuthnContext | None, now: datetime) -> dict[str, Any]:
        if context is None:
            return {"acr": "", "level": -1}
        auth: dict[str, Any] = {
            "acr": context.acr,
            "level": self._ranks.get(context.acr, -1),
            "amr": list(context.amr),
        }
        age = now - context.auth_time
        # From the future: no age at all, so that a condition on it fails instead of passing.
        if age >= -CLOCK_LEEWAY:
            auth["age_seconds"] = {"value": max(0, age // timedelta(seconds=1))}
        return auth


def _identifiers(request: DecisionRequest) -> dict[str, dict[str, Any]]:
    return {
        "subject": {"id": request.subject_id, "type": request.subject_type},
        "resource": {"id": request.resource_id, "type": request.resource_type},
        "action": {"name": request.action},
        "context": {},
    }


def _is_too_long(text: str) -> bool:
    # Four bytes a character at most.
    return len(text) * 4 > MAX_TEXT_BYTES and len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES


def _column(attribute: Attribute) -> _Column:
    return _Column(
        path=f"{attribute.entity}.{attribute.name}",
        entity=attribute.entity,
        name=attribute.name,
        read=reader_of(attribute),
        required=attribute.required,
        default=attribute.default,
        nullable=_is_nullable(attribute),
    )


def _is_nullable(attribute: Attribute) -> bool:
    # Null is an error in every comparison but equality, where a plain field would be 0 or "".
    always_set = attribute.required or attribute.default is not None
    return not always_set and attribute.type in _WRAPPERS


def _file(attributes: Sequence[Attribute]) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="stepup/request.proto",
        package=PACKAGE,
        # proto2 keeps apart "not sent" and "sent as zero".
        syntax="proto2",
        dependency=[
            "google/protobuf/timestamp.proto",
            "google/protobuf/duration.proto",
            "google/protobuf/wrappers.proto",
        ],
    )
    for variable, built_in in BUILT_IN.items():
        message = file.message_type.add(name=variable)
        declared = [a for a in attributes if a.entity == variable]
        for number, attribute in enumerate((*built_in, *declared), start=1):
            field = message.field.add(
                name=attribute.name,
                number=number,
                # Two names that differ in an underscore would get the same JSON name.
                json_name=f"f{number}",
                label=(
                    _Field.LABEL_REPEATED
                    if attribute.type is AttributeType.LIST
                    else _Field.LABEL_OPTIONAL
                ),
            )
            if _is_nullable(attribute):
                field.type = _Field.TYPE_MESSAGE
                field.type_name = _WRAPPERS[attribute.type]
            elif attribute.type in _WELL_KNOWN:
                field.type = _Field.TYPE_MESSAGE
                field.type_name = _WELL_KNOWN[attribute.type]
            else:
                field.type = _PLAIN[attribute.type]
    return file


_PLAIN: Mapping[AttributeType, "_Field.Type.ValueType"] = {
    AttributeType.STRING: _Field.TYPE_STRING,
    AttributeType.INT: _Field.TYPE_INT64,
    AttributeType.DECIMAL: _Field.TYPE_INT64,
    AttributeType.DOUBLE: _Field.TYPE_DOUBLE,
    AttributeType.BOOL: _Field.TYPE_BOOL,
    AttributeType.IP: _Field.TYPE_STRING,
    AttributeType.LIST: _Field.TYPE_STRING,
}
_WRAPPERS: Mapping[AttributeType, str] = {
    AttributeType.STRING: ".google.protobuf.StringValue",
    AttributeType.INT: ".google.protobuf.Int64Value",
    AttributeType.DECIMAL: ".google.protobuf.Int64Value",
    AttributeType.DOUBLE: ".google.protobuf.DoubleValue",
    AttributeType.BOOL: ".google.protobuf.BoolValue",
    AttributeType.IP: ".google.protobuf.StringValue",
}
_WELL_KNOWN: Mapping[AttributeType, str] = {
    AttributeType.TIMESTAMP: ".google.protobuf.Timestamp",
    AttributeType.DURATION: ".google.protobuf.Duration",
}
