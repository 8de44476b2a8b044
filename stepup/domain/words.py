"""Factors in the words of administrators."""

from collections.abc import Sequence

from stepup.domain.assurance import Factor, Method

_METHODS = {
    Method.WEBAUTHN: "a passkey",
    Method.TOTP: "a code from an authenticator app (totp)",
    Method.HOTP: "a code from a counter-based token (hotp)",
    Method.EMAIL: "a code sent by e-mail",
    Method.SMS: "a code sent by SMS",
    Method.RECOVERY_CODE: "a recovery code",
}


def combination_in_words(combination: Sequence[Factor]) -> str:
    """Name every factor of a combination, as `a recovery code and a passkey`."""
    return " and ".join(factor_in_words(factor) for factor in combination)


def factor_in_words(factor: Factor) -> str:
    """Name a factor with what its ceremony must show, as `a passkey that verified its user`."""
    facts = [
        *(["verified its user"] if factor.user_verified else []),
        *(["is bound to its device"] if factor.device_bound else []),
        *(["is attested"] if factor.attested and not factor.aaguids else []),
        *([f"is attested as {_models(factor.aaguids)}"] if factor.aaguids else []),
    ]
    name = _METHODS[factor.method]
    if not facts:
        return name
    *others, last = facts
    return f"{name} that {', '.join(others)} and {last}" if others else f"{name} that {last}"


def _models(aaguids: Sequence[str]) -> str:
    return aaguids[0] if len(aaguids) == 1 else f"one of {len(aaguids)} models"
