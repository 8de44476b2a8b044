"""The messages that conditions read: one for each entity of a request, made of what is declared."""

from collections.abc import Callable, Mapping, Sequence

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import Message

from stepup.domain.decision_request import Attribute, AttributeType

PACKAGE = "stepup.request"

Messages = dict[str, Callable[..., Message]]

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


def messages_of(
    attributes: Sequence[Attribute],
) -> tuple[descriptor_pool.DescriptorPool, Messages]:
    """Make a message of each variable's attributes, and the pool that conditions are checked with."""
    pool = descriptor_pool.DescriptorPool()
    for module in (timestamp_pb2, duration_pb2, wrappers_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(_file(attributes).SerializeToString())
    return pool, {
        variable: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{PACKAGE}.{variable}")
        )
        for variable in BUILT_IN
    }


def is_nullable(attribute: Attribute) -> bool:
    """Say whether an attribute may be left out and has a form for that."""
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
            if is_nullable(attribute):
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
