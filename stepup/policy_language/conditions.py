"""CEL: conditions compiled against an action's attributes, and evaluated; the engine's only user.

Whatever the engine, a function or a value does wrong comes back as an `EvaluationError`, which
the domain answers with the strongest requirement.
"""

import ipaddress
import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cel_expr_python import cel  # type: ignore[import-untyped]  # it ships no py.typed
from typing_extensions import override

from stepup.domain.condition import Condition, EvaluationError, Inputs, Part
from stepup.policy_language.findings import Code, Finding, Severity, did_you_mean
from stepup.policy_language.messages import BUILT_IN, PACKAGE
from stepup.policy_language.parts import parts_of
from stepup.policy_language.references import Call, References, references_in
from stepup.policy_language.schema import CheckedInputs, RequestSchema
from stepup.policy_language.values import address_of

# Far above every condition a person can review; the engine itself would take 100,000.
MAX_SOURCE_BYTES = 2048

_SYNTAX = re.compile(
    r"Syntax error: (?:(?:mismatched|extraneous) input|token recognition error at:"
    r"|no viable alternative at input) '(.*?)'(?: expecting .*)?$"
)
# What it is called elsewhere.
_SPELLED = {"and": "&&", "or": "||", "&": "&&", "|": "||", "=": "=="}
_NEEDS_NETWORK = "inCidr needs a network, like 10.0.0.0/8"
_NEEDS_ADDRESS = "inCidr needs an address, like 10.0.0.1"
_NEEDS_ZONE = "timeOfDay needs a time zone, like Europe/Berlin"

_ENGINE_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_UNDEFINED_FIELD = re.compile(rf"undefined field '(\w+)' not found in struct '{PACKAGE}\.(\w+)'")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_NO_OVERLOAD = re.compile(r"found no matching overload for '([^']+)' applied to '\(?(.*?)\)?'$")
_TYPE_NAMES = re.compile(
    rf"google\.protobuf\.(Timestamp|Duration)|wrapper\((\w+)\)|{re.escape(PACKAGE)}\.(\w+)"
)
_MIXED = {
    ("int", "double"): "; write 1000.0 beside a double, 1000 beside an int, "
    "minor units for a decimal",
    ("timestamp", "string"): '; write timestamp("2026-01-31T12:00:00Z")',
    ("duration", "string"): '; write duration("15m")',
    ("list(string), ", "string"): '; write "one" in the_list',
}
_LAST_NAME = re.compile(r"[\w.]*\Z")
# What the engine says on failing, as far as it repeats nothing of what it was given.
_FAILURES = {
    text: text.strip(" :").lower()
    for text in (
        "divide by zero",
        "modulus by zero",
        "integer overflow",
        "Index error",
        "Key not found",
        "Iteration budget exceeded",
        "No matching overloads found",
    )
}


class Compiled(Condition):
    """A condition that was found well-typed; `references` says what it looks at."""

    def __init__(self, source: str, expression: cel.Expression, env: cel.Env) -> None:
        self.source = source
        self.references = references_in(expression.serialize(), PACKAGE)
        self.reads = self.references.read
        self.asks = self.references.asked
        # What it reads without asking `has()` about it.
        self.unguarded = self.references.read - self.references.asked
        self._expression = expression
        self._env = env

    @override
    def holds(self, inputs: Inputs) -> bool | EvaluationError:
        if not isinstance(inputs, CheckedInputs):
            raise TypeError("inputs come from the schema that the condition was compiled against")
        # An unset message, such as a timestamp, would be read as its zero.
        if inputs.absent and (missing := self.unguarded & inputs.absent):
            return EvaluationError(f"{min(missing)} was not sent")
        try:
            if inputs.activation is None:
                inputs.activation = self._env.Activation(inputs.variables())
            value = self._expression.eval(inputs.activation)
            answer = value.plain_value()
        except (RuntimeError, ValueError, TypeError, OverflowError) as error:
            # An exhausted iteration budget is raised, every other failure is a value.
            return EvaluationError(_reason(str(error)))
        if isinstance(answer, bool):
            return answer
        return EvaluationError(_reason(str(answer)))

    @override
    def parts(self, inputs: Inputs) -> tuple[Part, ...]:
        told: list[Part] = []
        for source in parts_of(self.source):
            try:
                expression = self._env.compile(source)
            except RuntimeError:
                # Cut in the wrong place; a reader has the whole all the same.
                return ()
            told.append(Part(source, Compiled(source, expression, self._env).holds(inputs)))
        return tuple(told)

    def wrong_patterns(self) -> tuple[str, ...]:
        """List what stands in `matches(...)` and is no regular expression: it fails each time."""
        patterns = (c.texts[-1] for c in self.references.calls if c.function == "matches")
        return tuple(p for p in patterns if p is not None and not self._is_pattern(p))

    def _is_pattern(self, text: str) -> bool:
        # Only the engine knows what its own regular expressions are.
        source = f'"".matches({json.dumps(text, ensure_ascii=False)})'
        try:
            value = self._env.compile(source).eval(self._env.Activation({}))
        except RuntimeError:
            return False
        return isinstance(value.plain_value(), bool)


class Environment:
    """What conditions of one action may refer to.

    Of `refused` attributes it was said already that their declaration is wrong.
    """

    def __init__(self, schema: RequestSchema, refused: frozenset[str] = frozenset()) -> None:
        self._schema = schema
        self._refused = refused
        self._attributes = {
            variable: [a.name for a in built_in]
            + [a.name for a in schema.attributes if a.entity == variable]
            for variable, built_in in BUILT_IN.items()
        }
        variables = {name: cel.Type(f"{PACKAGE}.{name}") for name in BUILT_IN}
        self._env = cel.NewEnv(
            schema.pool,
            variables={**variables, "now": cel.Type.TIMESTAMP},
            extensions=[_FUNCTIONS],
        )

    def compile(self, source: str) -> Compiled | list[Finding]:
        """Check and compile a condition; places in the findings count from its own beginning."""
        if len(source) > MAX_SOURCE_BYTES or len(source.encode()) > MAX_SOURCE_BYTES:
            return [_finding(Code.CONDITION_LIMIT, "the condition is longer than 2 KiB")]
        try:
            expression = self._env.compile(source)
        except RuntimeError as error:
            return list(self._explain(source, str(error)))
        if expression.return_type() != cel.Type.BOOL:
            kind = expression.return_type().name().lower()
            message = f"a condition must be true or false, this is of type {kind}"
            return [_finding(Code.CONDITION_TYPE, message)]
        compiled = Compiled(source, expression, self._env)
        self._schema.need(compiled.references.variables)
        return list(_wrong_constants(compiled.references)) or compiled

    def _explain(self, source: str, text: str) -> Iterable[Finding]:
        errors = [(int(m[1]), int(m[2]), m[3]) for m in _ENGINE_ERROR.finditer(text)]
        lines = source.split("\n")
        if not errors:
            yield _finding(Code.CONDITION_LIMIT, "the condition is nested too deeply")
        seen: set[str] = set()
        for line, column, message in errors:
            code, explained = self._explained(message)
            # After a first syntax error the others are only its consequences.
            kind = "syntax" if message.startswith("Syntax error") else explained
            if kind not in seen and not self._is_about_refused(message):
                seen.add(kind)
                text_of_line = lines[line - 1] if 0 < line <= len(lines) else ""
                unknown = _UNDECLARED.search(message) is not None
                column_of_name = _name_at(text_of_line, max(column, 1), unknown=unknown)
                yield _finding(code, explained, max(line, 1), column_of_name)

    def _explained(self, message: str) -> tuple[Code, str]:
        if match := _UNDEFINED_FIELD.search(message):
            name, variable = match[1], match[2]
            hint = did_you_mean(name, self._attributes.get(variable, ()))
            return Code.CONDITION, f"`{variable}` has no attribute `{name}`{hint}"
        if match := _UNDECLARED.search(message):
            return Code.CONDITION, self._explain_undeclared(match[1].partition(".")[0])
        if match := _SYNTAX.search(message):
            return Code.CONDITION, _explain_syntax(match[1].strip())
        if match := _NO_OVERLOAD.search(message):
            return Code.CONDITION, _explain_overload(match[1], match[2])
        if "recursion" in message:
            return Code.CONDITION_LIMIT, "the condition is nested too deeply"
        return Code.CONDITION, _TYPE_NAMES.sub(_type_name, message)

    def _explain_undeclared(self, name: str) -> str:
        owners = [owner for owner, names in self._attributes.items() if name in names]
        if owners:
            meant = " or ".join(f"`{owner}.{name}`" for owner in owners)
            return f"there is no `{name}`; did you mean {meant}?"
        known = [*BUILT_IN, "now", "inCidr", "timeOfDay"]
        return f"there is no `{name}`{did_you_mean(name, known)}"

    def _is_about_refused(self, message: str) -> bool:
        match = _UNDEFINED_FIELD.search(message)
        return match is not None and match[1] in self._refused


def _name_at(line: str, column: int, *, unknown: bool) -> int:
    """Move from the dot or parenthesis that the engine points at to the name it speaks about."""
    before, here = line[: column - 1], line[column - 1 : column]
    if here == "(" or (here == "." and unknown):
        return len(_LAST_NAME.sub("", before)) + 1
    return column + 1 if here == "." else column


def _explain_overload(operator: str, types: str) -> str:
    shown = operator.replace("_", "").strip("[]@") or operator
    said = _TYPE_NAMES.sub(_type_name, types)
    hint = next((h for (a, b), h in _MIXED.items() if a in said and b in said), "")
    return f"`{shown}` cannot be applied to {said}{hint}"


def _explain_syntax(text: str) -> str:
    if text == "<EOF>":
        return "Syntax error: something is missing at the end"
    hint = f"; write `{_SPELLED[text]}`" if text in _SPELLED else ""
    return f"Syntax error: `{text}` is not expected here{hint}"


def _type_name(match: re.Match[str]) -> str:
    return (match[1] or match[2] or match[3]).lower()


def _finding(code: Code, message: str, line: int = 1, column: int = 1) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, message=message, line=line, column=column)


def _wrong_constants(references: References) -> Iterable[Finding]:
    for call in references.calls:
        if message := _wrong_constant(call):
            yield _finding(Code.CONDITION, message)


def _wrong_constant(call: Call) -> str | None:
    """Find at load what could only fail later: an unknown time zone or network."""
    constant = call.texts[-1] if call.texts else None
    if constant is None or call.function not in {"inCidr", "timeOfDay"}:
        return None
    try:
        _network(constant) if call.function == "inCidr" else _zone(constant)
    except ValueError as error:
        return str(error)
    return None


def _reason(text: str) -> str:
    # The engine's own words may hold a value of the request, which nobody should read in a log.
    for ours in (_NEEDS_NETWORK, _NEEDS_ADDRESS, _NEEDS_ZONE):
        if ours in text:
            return ours
    for theirs, reason in _FAILURES.items():
        if theirs in text:
            return reason
    code = text.partition(":")[0]
    return f"the evaluation failed ({code if code.isupper() else 'UNKNOWN'})"


@lru_cache(maxsize=1024)
def _network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(cidr)
    except ValueError:
        raise ValueError(_NEEDS_NETWORK) from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(_NEEDS_ZONE) from None


def _in_cidr(ip: str, cidr: str) -> bool:
    address = address_of(ip)
    if address is None:
        raise ValueError(_NEEDS_ADDRESS)
    return address in _network(cidr)


def _time_of_day(moment: datetime, zone: str) -> timedelta:
    # What the clock on the wall says, also on the two days a year that have 23 or 25 hours.
    wall = moment.astimezone(_zone(zone))
    return timedelta(hours=wall.hour, minutes=wall.minute, seconds=wall.second)


_FUNCTIONS = cel.CelExtension(
    "stepup",
    [
        cel.FunctionDecl(
            "inCidr",
            [
                cel.Overload(
                    "in_cidr_string_string",
                    return_type=cel.Type.BOOL,
                    parameters=[cel.Type.STRING, cel.Type.STRING],
                    impl=_in_cidr,
                )
            ],
        ),
        cel.FunctionDecl(
            "timeOfDay",
            [
                cel.Overload(
                    "time_of_day_timestamp_string",
                    return_type=cel.Type.DURATION,
                    parameters=[cel.Type.TIMESTAMP, cel.Type.STRING],
                    impl=_time_of_day,
                )
            ],
        ),
    ],
)
