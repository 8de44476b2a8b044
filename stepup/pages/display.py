"""What you see is what you sign: values of a request, made fit to be shown.

The values come from a client. They are shown as text under a label, cut to a length, and
stripped of everything that could make them look like something else.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

DisplayKind = Literal["text", "money", "account"]

LONGEST_VALUE = 140
LONGEST_LABEL = 40
MOST_ITEMS = 8

# More than any script writes one character with; what comes after is neither shown nor looked at.
_CODE_POINTS_PER_CHARACTER = 16

# Written out in full: `1E1000` is a number too, and one with a thousand digits.
_MONEY = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)

# Names of attributes that hold an account number, which is set in groups of four.
_ACCOUNTS = frozenset({"account", "iban", "from_account", "to_account"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayItem:
    """One line of what is confirmed.

    `label` is the attribute's name; well-known names are translated when shown. `value` is the
    number in words of the client for money, with `currency` beside it.
    """

    label: str
    value: str
    kind: DisplayKind = "text"
    currency: str | None = None

    @property
    def amount(self) -> Decimal | None:
        """The value as a number, when it is money that can be read as one."""
        is_written_out = self.kind == "money" and _MONEY.fullmatch(self.value)
        return Decimal(self.value) if is_written_out else None


def display_items(values: Mapping[str, object]) -> tuple[DisplayItem, ...]:
    """Lay out displayed values in their order; an amount takes the currency beside it."""
    currency = _currency(values)
    items = [
        _item(name, value, currency)
        for name, value in values.items()
        if not (currency and name == "currency")
    ]
    # Money first: it is what a reader must not miss.
    items.sort(key=lambda item: item.kind != "money")
    return tuple(items[:MOST_ITEMS])


def plain(text: str, longest: int = LONGEST_VALUE) -> str:
    """Strip control, formatting and bidirectional characters, fold white space, cut.

    Without them a payee such as U+202E "gnp.exe" could be read backwards.
    """
    # Cut before anything else: composing characters takes the square of a hostile text's length.
    head = text[: longest * _CODE_POINTS_PER_CHARACTER]
    kept = "".join(
        " " if character.isspace() else character
        for character in unicodedata.normalize("NFC", head)
        if character.isspace() or unicodedata.category(character)[0] != "C"
    )
    folded = " ".join(kept.split())
    whole = len(folded) <= longest and len(head) == len(text)
    return folded if whole else folded[: longest - 1].rstrip() + "…"


def mask(subject: str) -> str:
    """Show enough of a name or an address for its owner, too little for a stranger."""
    local, at, domain = plain(subject).rpartition("@")
    if not at or not local:
        return _masked(plain(subject))
    return f"{_masked(local)}@{domain}"


def localized(texts: Mapping[str, str], locale: str) -> str | None:
    """Pick the text of a language; English, then the first, when it has none."""
    text = texts.get(locale) or texts.get(locale.partition("-")[0]) or texts.get("en")
    return plain(text or next(iter(texts.values()), "")) or None


def _currency(values: Mapping[str, object]) -> str | None:
    code = values.get("currency")
    known = isinstance(code, str) and len(code) == 3 and code.isascii() and code.isalpha()
    return str(code).upper() if known and "amount" in values else None


def _item(name: str, value: object, currency: str | None) -> DisplayItem:
    label = plain(name, LONGEST_LABEL)
    if name == "amount" and currency:
        return DisplayItem(label=label, value=plain(str(value)), kind="money", currency=currency)
    kind: DisplayKind = "account" if name in _ACCOUNTS else "text"
    return DisplayItem(label=label, value=_text(value), kind=kind)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, list):
        return plain(", ".join(str(part) for part in value))
    return plain("" if value is None else str(value))


def _masked(text: str) -> str:
    # One dot whatever the length, so that the length says nothing.
    return text[: min(2, max(1, len(text) - 1))] + "•"
