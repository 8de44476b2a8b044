"""The ladder: levels and the factors that reach them."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from stepup.domain.assurance import Method
from stepup.policy_language.shape.parts import Shape, Span, Words, said

MAX_LEVELS = 16


class Factor(Shape, kw_only=True):
    """A member of a combination: a method, and the facts that its ceremony must show.

    Without facts it may be written as a word, the method's name.
    """

    method: Annotated[Method, said("how the subject answers")]
    user_verified: Annotated[
        bool | UnsetType, said("the authenticator recognized its user (PIN, fingerprint, face)")
    ] = UNSET
    device_bound: Annotated[bool | UnsetType, said("the key cannot leave its device")] = UNSET
    attested: Annotated[
        bool | UnsetType, said("the manufacturer vouched for the authenticator's model")
    ] = UNSET
    aaguids: Annotated[Words | UnsetType, said("only these models; asks for attestation too")] = (
        UNSET
    )


_Combination = Method | Factor | Annotated[list[Method | Factor], Meta(min_length=1)]


class Level(Shape, kw_only=True):
    """A rung of the ladder."""

    acr: Annotated[
        str | UnsetType,
        said("its name; needed in a list, given by the key in a mapping", pattern="^[!-~]+$"),
    ] = UNSET
    any_of: Annotated[
        list[_Combination],
        Meta(
            min_length=1,
            description="the combinations that reach it: a factor, or a list of factors that must "
            "all have been shown, each in a ceremony of its own",
        ),
    ]
    max_age: Annotated[
        Span, said("the age that a requirement of this level allows when it names none")
    ]
