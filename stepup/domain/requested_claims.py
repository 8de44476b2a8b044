"""The `claims` parameter: what a client wants to know, and what it cannot do without.

Of everything that OpenID Connect Core section 5.5 lets a client ask for, `acr` and `sub` of the ID
token change what happens here; whatever else is asked for is ignored, as section 5.5 says.
"""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from stepup.domain.assurance import Acr
from stepup.domain.authorization_request import MAX_ACR_VALUES
from stepup.domain.errors import InvalidRequestError, UnmetRequirementError
from stepup.domain.unambiguous_json import check_unambiguous

MAX_CLAIMS = 8192

_Text = Annotated[str, msgspec.Meta(max_length=256)]
_Values = Annotated[tuple[_Text, ...], msgspec.Meta(max_length=MAX_ACR_VALUES)]


class _Wish(msgspec.Struct, frozen=True):
    """How one claim is asked for (section 5.5.1)."""

    essential: bool = False
    value: Any = msgspec.UNSET
    values: Any = msgspec.UNSET


class _TextWish(msgspec.Struct, frozen=True):
    essential: bool = False
    value: _Text | None = None
    values: _Values | None = None

    @property
    def named(self) -> tuple[str, ...] | None:
        return self.values if self.value is None else (self.value,)


class _IdToken(msgspec.Struct, frozen=True):
    acr: _TextWish | None = None
    sub: _TextWish | None = None
    auth_time: _Wish | None = None


class _Claims(msgspec.Struct, frozen=True):
    id_token: _IdToken | None = None
    userinfo: dict[str, Any] | None = None


class AskedLevels(msgspec.Struct, frozen=True, kw_only=True):
    """The levels that a client accepts, best first, and whether it accepts no other.

    None of them when it names no level at all.
    """

    acr_values: tuple[Acr, ...] | None = None
    essential: bool = False


_decoder = msgspec.json.Decoder(_Claims)


def read_claims(text: str | None) -> AskedLevels:
    """Read which levels of the ID token's `acr` are asked for.

    Raises:
        InvalidRequestError: If it is no JSON of section 5.5's shape.
    """
    wish = _id_token_of(text).acr
    if wish is None:
        return AskedLevels()
    if wish.value is not None and wish.values is not None:
        raise InvalidRequestError("claims asks for the acr twice.")
    if wish.named is None:
        return AskedLevels()
    named = tuple(dict.fromkeys(map(Acr, wish.named)))
    return AskedLevels(acr_values=named, essential=wish.essential)


def read_subjects(text: str | None) -> frozenset[str] | None:
    """Read which values of the ID token's `sub` the client accepts, essential or not; None for all.

    Raises:
        InvalidRequestError: If it is no JSON of section 5.5's shape.
    """
    wish = _id_token_of(text).sub
    if wish is None or wish.named is None:
        return None
    return frozenset(wish.named)


def _id_token_of(text: str | None) -> _IdToken:
    if text is None:
        return _IdToken()
    if len(text) > MAX_CLAIMS:
        raise InvalidRequestError("claims is too long.")
    try:
        check_unambiguous(text.encode())
        return _decoder.decode(text).id_token or _IdToken()
    except (InvalidRequestError, msgspec.DecodeError, UnicodeError):
        raise InvalidRequestError("claims is malformed.") from None


def agreed_levels(acr_values: tuple[Acr, ...], claims: AskedLevels) -> AskedLevels:
    """Join both ways to ask for a level: what one of them does not name is not accepted.

    OpenID Connect Core section 5.5.1.1 leaves open what both together mean.

    Raises:
        UnmetRequirementError: If they have nothing in common.
    """
    if not acr_values:
        return claims
    if claims.acr_values is None:
        return AskedLevels(acr_values=acr_values)
    common = _in_both(acr_values, claims.acr_values)
    if not common:
        raise UnmetRequirementError("acr_values and the acr of claims have nothing in common.")
    return AskedLevels(acr_values=common, essential=claims.essential)


def _in_both(first: Iterable[Acr], second: Iterable[Acr]) -> tuple[Acr, ...]:
    others = frozenset(second)
    return tuple(acr for acr in first if acr in others)
