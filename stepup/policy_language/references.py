"""Which attributes a compiled condition reads, and which it asks `has()` about.

The engine hands its checked expression over as bytes of `cel.expr.CheckedExpr`. The few fields
that are needed here are declared by number, as the format (google/api/expr/v1alpha1) fixes them.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto


class Call(NamedTuple):
    """A call of a function with the texts among its arguments, None for the others."""

    function: str
    texts: tuple[str | None, ...]


class References(NamedTuple):
    """What an expression refers to, as `context.country`; `variables` are what it names at all."""

    read: frozenset[str]
    asked: frozenset[str]
    calls: tuple[Call, ...]
    variables: frozenset[str]


def references_in(serialized: bytes, package: str) -> References:
    """List what a checked expression refers to."""
    checked = _CheckedExpr.FromString(any_pb2.Any.FromString(serialized).value)
    messages = {
        entry.key: entry.value.message_type.removeprefix(f"{package}.")
        for entry in checked.type_map
        if entry.value.message_type.startswith(f"{package}.")
    }
    read: set[str] = set()
    asked: set[str] = set()
    calls: list[Call] = []
    variables: set[str] = set()
    for expr in _walk(checked.expr):
        if expr.HasField("select_expr") and expr.select_expr.operand.id in messages:
            select = expr.select_expr
            found = asked if select.test_only else read
            found.add(f"{messages[select.operand.id]}.{select.field}")
        elif expr.HasField("ident_expr"):
            variables.add(expr.ident_expr.name)
        elif expr.HasField("call_expr"):
            arguments = expr.call_expr.args
            texts = tuple(
                a.const_expr.string_value if a.const_expr.HasField("string_value") else None
                for a in arguments
            )
            calls.append(Call(expr.call_expr.function, texts))
    return References(frozenset(read), frozenset(asked), tuple(calls), frozenset(variables))


def _walk(root: Any) -> Iterator[Any]:
    waiting = [root]
    while waiting:
        expr = waiting.pop()
        yield expr
        for part, names in _CHILDREN.items():
            if expr.HasField(part):
                waiting.extend(
                    child for name in names for child in _all_of(getattr(expr, part), name)
                )


def _all_of(part: Any, name: str) -> list[Any]:
    if name == "entries":
        return [child for entry in part.entries for child in (entry.map_key, entry.value)]
    if name in {"args", "elements"}:
        return list(getattr(part, name))
    return [getattr(part, name)] if part.HasField(name) else []


_EXPR, _STRING, _BOOL, _INT = "Expr", "string", "bool", "int64"
_MESSAGES: dict[str, tuple[tuple[str, int, str, bool], ...]] = {
    "Constant": (("string_value", 6, _STRING, False),),
    "Ident": (("name", 1, _STRING, False),),
    "Select": (
        ("operand", 1, _EXPR, False),
        ("field", 2, _STRING, False),
        ("test_only", 3, _BOOL, False),
    ),
    "Call": (
        ("target", 1, _EXPR, False),
        ("function", 2, _STRING, False),
        ("args", 3, _EXPR, True),
    ),
    "CreateList": (("elements", 1, _EXPR, True),),
    "StructEntry": (("map_key", 3, _EXPR, False), ("value", 4, _EXPR, False)),
    "CreateStruct": (("entries", 2, "StructEntry", True),),
    "Comprehension": (
        ("iter_range", 2, _EXPR, False),
        ("accu_init", 4, _EXPR, False),
        ("loop_condition", 5, _EXPR, False),
        ("loop_step", 6, _EXPR, False),
        ("result", 7, _EXPR, False),
    ),
    "Expr": (
        ("id", 2, _INT, False),
        ("const_expr", 3, "Constant", False),
        ("ident_expr", 4, "Ident", False),
        ("select_expr", 5, "Select", False),
        ("call_expr", 6, "Call", False),
        ("list_expr", 7, "CreateList", False),
        ("struct_expr", 8, "CreateStruct", False),
        ("comprehension_expr", 9, "Comprehension", False),
    ),
    "Type": (("message_type", 9, _STRING, False),),
    "TypeEntry": (("key", 1, _INT, False), ("value", 2, "Type", False)),
    "CheckedExpr": (("type_map", 3, "TypeEntry", True), ("expr", 4, _EXPR, False)),
}
_CHILDREN = {
    "select_expr": ("operand",),
    "call_expr": ("target", "args"),
    "list_expr": ("elements",),
    "struct_expr": ("entries",),
    "comprehension_expr": ("iter_range", "accu_init", "loop_condition", "loop_step", "result"),
}
_SCALARS = {_STRING: _Field.TYPE_STRING, _BOOL: _Field.TYPE_BOOL, _INT: _Field.TYPE_INT64}


def _message_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="stepup/checked.proto", package="stepup.checked", syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, repeated in fields:
            field = message.field.add(
                name=field_name,
                number=number,
                label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
                type=_SCALARS.get(kind, _Field.TYPE_MESSAGE),
            )
            if kind not in _SCALARS:
                field.type_name = f".stepup.checked.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("stepup.checked.CheckedExpr"))


_CheckedExpr = _message_class()
