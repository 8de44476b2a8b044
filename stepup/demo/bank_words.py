"""How the bank writes amounts, times, and what somebody proved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

CURRENCY_SIGN = "€"
_LEVELS = {
    "urn:stepup:acr:1": "Basic confirmation",
    "urn:stepup:acr:2": "Confirmed with a second factor",
    "phr": "Confirmed with a passkey",
    "phrh": "Confirmed with a security key",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """What a transfer was made on, in words and for the curious in figures."""

    headline: str
    method: str
    confirmed_at: str
    facts: tuple[tuple[str, str], ...]


def money(amount: str | int) -> str:
    """Write an amount of euros: text as it is, a whole number as cents."""
    cents = amount if isinstance(amount, int) else round(float(amount) * 100)
    sign = "-" if cents < 0 else ""
    return f"{sign}{CURRENCY_SIGN}{abs(cents) // 100:,}.{abs(cents) % 100:02}"


def when(timestamp: float, form: str = "%-d %B") -> str:
    """Write a moment."""
    return datetime.fromtimestamp(timestamp, UTC).strftime(form)


def proof_in_words(proof: Mapping[str, object] | None) -> Proof | None:
    """Say what somebody proved."""
    if proof is None:
        return None
    methods = proof["methods"] if isinstance(proof["methods"], list) else []
    auth_time, expires_at = proof["auth_time"], proof["expires_at"]
    level = str(proof["level"])
    moment = "%H:%M:%S UTC, %-d %B %Y"
    return Proof(
        headline=_LEVELS.get(level, level),
        method=_method(methods),
        confirmed_at=when(auth_time, moment) if isinstance(auth_time, float) else "",
        facts=(
            ("Level (acr)", level),
            ("Methods (amr)", ", ".join(map(str, methods))),
            (
                "Confirmed (auth_time)",
                when(auth_time, moment) if isinstance(auth_time, float) else "",
            ),
            ("Bound to (bound_digest)", str(proof["digest"])),
            ("Transaction (txn)", str(proof["txn"])),
            ("Token (jti)", str(proof["jti"])),
            ("Good until (exp)", when(expires_at, moment) if isinstance(expires_at, float) else ""),
        ),
    )


def _method(methods: list[object]) -> str:
    if "hwk" in methods or "swk" in methods:
        unlocked = ", unlocked with your fingerprint, face or PIN" if "user" in methods else ""
        return f"Your passkey{unlocked}"
    return "A code from your authenticator app" if "otp" in methods else "Another way"
