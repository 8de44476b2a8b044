"""The `levels` of a document: the ladder, weakest first."""

from datetime import timedelta
from itertools import combinations

from stepup.domain.assurance import DEFAULT_LADDER, Acr, Factor, Ladder, Level, Method
from stepup.policy_language.fields import Fields
from stepup.policy_language.findings import Code, Findings, did_you_mean
from stepup.policy_language.reader import Fieldset, Listing, Node, Scalar
from stepup.policy_language.shape import levels as shape
from stepup.policy_language.shape.levels import MAX_LEVELS


def read_ladder(document: Fields) -> Ladder:
    """Read the levels; the default ladder when the document names none, or none that is right."""
    if "levels" not in document:
        return DEFAULT_LADDER
    levels: list[Level] = []
    for name, at, fields in document.named("levels", "acr", shape.Level, most=MAX_LEVELS):
        level = _level(Acr(name), fields)
        if any(other.acr == level.acr for other in levels):
            message = f"the level `{name}` is there twice"
            document.findings.error(Code.DUPLICATE_ID, message, at)
        else:
            levels.append(level)
    if not levels:
        document.wrong("levels", "must name at least one level, weakest first")
        return DEFAULT_LADDER
    return Ladder(tuple(levels))


def _level(acr: Acr, fields: Fields) -> Level:
    if "any_of" not in fields:
        fields.missing("any_of")
    if "max_age" not in fields:
        fields.missing("max_age")
    read: list[tuple[Factor, ...]] = []
    node = fields.peek("any_of")
    if isinstance(node, Listing) and node.items:
        read.extend(_combination(item, fields.findings) for item in node.items)
    elif node is not None:
        fields.wrong("any_of", "must be a list of combinations")
    level = Level(
        acr=acr,
        any_of=tuple(combination for combination in read if combination),
        max_age=fields.span("max_age") or timedelta(0),
    )
    if not acr.isascii() or not acr.isprintable() or " " in acr or not acr:
        # `acr_values` is a list separated by spaces (OpenID Connect Core section 3.1.2.1).
        fields.findings.error(Code.WRONG_VALUE, "a level's name has no spaces", fields.at)
    fields.finish()
    return level


def _combination(node: Node, findings: Findings) -> tuple[Factor, ...]:
    nodes = node.items if isinstance(node, Listing) else [node]
    if not nodes:
        findings.error(Code.WRONG_VALUE, "a combination needs a factor", node.at)
    read = [_factor(item, findings) for item in nodes]
    factors = tuple(factor for factor in read if factor is not None)
    for first, second in combinations(factors, 2):
        if not _are_two(first, second):
            message = (
                f"`{first.method}` stands twice in a combination: one authenticator could pass for "
                "both; leave one out, or give each a list of `aaguids` of its own"
            )
            findings.error(Code.CONTRADICTION, message, node.at)
            break
    return factors


def _are_two(first: Factor, second: Factor) -> bool:
    """Say whether no single authenticator can be both factors."""
    if first.method is not second.method:
        return True
    models = (set(first.aaguids), set(second.aaguids))
    return all(models) and models[0].isdisjoint(models[1])


def _factor(node: Node, findings: Findings) -> Factor | None:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        if node.value in set(Method):
            return Factor(method=Method(node.value))
        hint = did_you_mean(node.value, [method.value for method in Method])
        findings.error(Code.WRONG_VALUE, f"unknown method `{node.value}`{hint}", node.at)
        return None
    if not isinstance(node, Fieldset):
        findings.error(Code.WRONG_VALUE, "a factor is a method, or a mapping with one", node.at)
        return None
    fields = Fields(node, shape.Factor, findings)
    if "method" not in fields:
        fields.missing("method")
    method = fields.choice("method", Method)
    factor = Factor(
        method=method or Method.WEBAUTHN,
        user_verified=fields.flag("user_verified") or False,
        device_bound=fields.flag("device_bound") or False,
        attested=fields.flag("attested") or False,
        aaguids=fields.texts("aaguids"),
    )
    fields.finish()
    return factor if method else None
