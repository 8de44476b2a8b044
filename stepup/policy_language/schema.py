"""An action's declared attributes as typed messages, and a request read into them.

Each of `subject`, `resource`, `action`, `context` and `auth` is a protobuf message whose type is
made when the document is loaded, so that a mistyped name in a condition is an error at that moment
and `has()` means what it says.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from google.protobuf.message import Message
from typing_extensions import override

from stepup.domain.approval import CLOCK_LEEWAY
from stepup.domain.assurance import AuthnContext, Ladder
from stepup.domain.binding import Value
from stepup.domain.condition import AttributeSchema, EvaluationError, Inputs, Reading
from stepup.domain.decision_request import PROPERTIES, Attribute, DecisionRequest
from stepup.policy_language.messages import BUILT_IN, Messages, is_nullable, messages_of
from stepup.policy_language.readings import given, reading_of
from stepup.policy_language.values import MAX_TEXT_BYTES, Checked, WrongValueError, reader_of

MAX_CONTEXT_BYTES = 16 * 1024
# Around a value in a message: the field's number, its length, and a number or a moment whole.
_FRAME = 24
# Identifiers and what is said of the authentication come to less than the rest.
_CERTAINLY_SMALL = MAX_CONTEXT_BYTES // 4


class CheckedInputs(Inputs):
    """A request's attributes, checked; conditions keep what they make of them here.

    They become messages when the first condition is evaluated, and only those that any names.
    """

    __slots__ = ("_messages", "_now", "_values", "absent", "activation")

    def __init__(
        self,
        messages: Messages,
        values: Mapping[str, dict[str, Any]],
        absent: frozenset[str],
        now: datetime,
    ) -> None:
        self._messages = messages
        self._values = values
        self._now = now
        self.absent = absent
        self.activation: Any = None

    def variables(self) -> dict[str, Message | datetime]:
        """Return what conditions refer to.

        Raises:
            ValueError: If there is half a character in it.
        """
        variables: dict[str, Message | datetime] = {"now": self._now}
        for variable, make in self._messages.items():
            variables[variable] = make(**self._values[variable])
        return variables


class _Column(NamedTuple):
    path: str
    entity: str
    properties: str
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
        self.pool, self._all = messages_of(attributes)
        self._needed: Messages = {}

    def need(self, variables: Iterable[str]) -> None:
        """Note which variables conditions refer to; nobody makes a message of the others."""
        self._needed |= {name: self._all[name] for name in variables if name in self._all}

    @override
    def read(
        self, request: DecisionRequest, context: AuthnContext | None, now: datetime
    ) -> CheckedInputs | EvaluationError:
        values = _identifiers(request)
        absent: set[str] = set()
        wrong: set[str] = set()
        faults = list(_faults_of_identifiers(request))
        size = 0
        for path, entity, properties, name, read, required, default, nullable in self._columns:
            sent = getattr(request, properties).get(name, default)
            if sent is None:
                absent.add(path)
                if required:
                    faults.append(f"{path} is missing")
                continue
            try:
                value = read(sent)
            except WrongValueError as error:
                wrong.add(name)
                faults.append(f"{path} {error}")
                continue
            size += _at_most(value)
            values[entity][name] = {"value": value} if nullable else value
        if faults:
            return EvaluationError(faults[0], frozenset(wrong))
        values["auth"] = auth = self._auth(context, now) if "auth" in self._needed else {}
        size += _at_most(auth.get("amr", []))
        if size > _CERTAINLY_SMALL and self._is_too_large(values):
            return EvaluationError("the request's attributes are larger than 16 KiB")
        return CheckedInputs(self._needed, values, frozenset(absent), now)

    @override
    def readings(
        self, request: DecisionRequest, context: AuthnContext | None, now: datetime
    ) -> tuple[Reading, ...]:
        auth = self._auth(context, now)
        age = auth.get("age_seconds")
        values = {**_identifiers(request), "auth": {**auth, "age_seconds": age and age["value"]}}
        declared = (reading_of(attribute, request) for attribute in self.attributes)
        return (*declared, *given(values, BUILT_IN, now))

    def _is_too_large(self, values: Mapping[str, dict[str, Any]]) -> bool:
        sizes = (make(**values[name]).ByteSize() for name, make in self._all.items())
        return sum(sizes) > MAX_CONTEXT_BYTES

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


def _faults_of_identifiers(request: DecisionRequest) -> Iterator[str]:
    subject, resource = request.subject_id, request.resource_id
    for text in (subject, request.subject_type, resource, request.resource_type, request.action):
        if text.isascii() and len(text) <= MAX_TEXT_BYTES:
            continue
        try:
            if len(text.encode()) > MAX_TEXT_BYTES:
                yield "an identifier is too long"
        except UnicodeEncodeError:
            # Half a character of a surrogate pair.
            yield "the request holds invalid text"


def _at_most(value: Checked) -> int:
    """Return how large a value is at most in a message, its field and its length included."""
    if isinstance(value, str):
        return len(value) * 4 + _FRAME
    return sum(len(item) * 4 + _FRAME for item in value) if isinstance(value, list) else _FRAME


def _column(attribute: Attribute) -> _Column:
    return _Column(
        path=f"{attribute.entity}.{attribute.name}",
        entity=attribute.entity.value,
        properties=PROPERTIES[attribute.entity],
        name=attribute.name,
        read=reader_of(attribute),
        required=attribute.required,
        default=attribute.default,
        nullable=is_nullable(attribute),
    )
