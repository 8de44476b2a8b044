from datetime import UTC, datetime, timedelta

import jwt
import msgspec
import pytest

from stepup.crypto import tickets
from stepup.domain.assurance import Acr, Method
from stepup.domain.authorization import TICKET_LIFETIME, Purpose, Ticket
from stepup.domain.errors import InvalidTicketError, NewerFormatError
from stepup.domain.ids import ActionName, ClientId, Subject
from stepup.domain.requirement import OnUnenrolled, Requirement
from tests.crypto.forging import forge, read

NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEY = b"t" * 32
BOUND = {
    "amount": 5000,
    "rate": 1.5,
    "payee": "DE02 é",
    "urgent": True,
    "none": None,
    "lines": [1, "two", {"deep": [None, 2**53]}],
}
TICKET = Ticket(
    id="ticket-1",
    client_id=ClientId("bank"),
    subject=Subject("https://idp.example", "alice"),
    requirement=Requirement(
        acr=Acr("phr"),
        max_age=timedelta(0),
        methods=frozenset({Method.WEBAUTHN, Method.TOTP}),
        once=True,
        bind=frozenset({"amount", "payee"}),
        display=("amount",),
        token_lifetime=timedelta(seconds=90),
        audience="https://transfers.example",
        on_unenrolled=OnUnenrolled.ENROLL,
    ),
    purpose=Purpose(
        action=ActionName("payments.transfer"),
        title={"en": "Transfer money", "de": "Geld überweisen"},
        bound=BOUND,
        bound_digest="digest",
        displayed={"amount": 5000},
        policy_version=3,
    ),
    issued_at=NOW,
    expires_at=NOW + TICKET_LIFETIME,
)
TEXT = tickets.sign_ticket(TICKET, KEY)
HEADER, CLAIMS = read(TEXT, 0), read(TEXT, 1)


def refuse(text: str, now: datetime = NOW, key: bytes = KEY) -> None:
    with pytest.raises(InvalidTicketError):
        tickets.read_ticket(text, key, now)


def test_reads_exactly_what_it_signed():
    ticket = tickets.read_ticket(TEXT, KEY, NOW)

    assert ticket == TICKET
    # True equals 1 and 1.0 equals 1, but a digest over them does not.
    assert repr(ticket.purpose.bound) == repr(BOUND)


def test_is_a_ticket_and_nothing_else():
    assert HEADER == {"alg": "HS256", "typ": "stepup-ticket+jwt"}


def test_accepts_a_ticket_in_its_last_second():
    assert tickets.read_ticket(TEXT, KEY, TICKET.expires_at - SECOND) == TICKET


@pytest.mark.parametrize("late", [timedelta(0), SECOND])
def test_refuses_a_ticket_expired_by_one_second(late):
    refuse(TEXT, TICKET.expires_at + late)


def test_refuses_a_ticket_from_the_future():
    refuse(TEXT, NOW - 6 * SECOND)


@pytest.mark.parametrize(
    "change",
    [
        {"requirement": {"acr": "urn:stepup:acr:1"}},
        {"subject": {"issuer": "https://idp.example", "sub": "mallory"}},
        {"purpose": {"action": "payments.look"}},
        {"expires_at": "2036-01-01T00:00:00Z"},
    ],
    ids=["lowered level", "swapped subject", "swapped action", "longer life"],
)
def test_refuses_a_tampered_ticket(change):
    claims = CLAIMS | {"ticket": CLAIMS["ticket"] | change}
    payload, signature = forge(HEADER, claims, b"x" * 32).split(".")[1], TEXT.split(".")[2]

    refuse(f"{TEXT.split('.')[0]}.{payload}.{signature}")


def test_refuses_a_ticket_of_another_deployment():
    refuse(TEXT, key=b"u" * 32)


@pytest.mark.parametrize("alg", ["none", "NONE", "HS512", "ES256"])
def test_refuses_another_algorithm(alg):
    refuse(forge({**HEADER, "alg": alg}, CLAIMS))


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "stepup-ticket", None])
def test_refuses_another_kind_of_token_signed_with_the_same_key(typ):
    header = {name: value for name, value in (HEADER | {"typ": typ}).items() if value}

    refuse(forge(header, CLAIMS, KEY))


@pytest.mark.parametrize(
    "ticket",
    [
        {},
        None,
        CLAIMS["ticket"] | {"requirement": {"acr": "phr", "token_lifetime": "PT601S"}},
        CLAIMS["ticket"] | {"subject": "alice"},
    ],
)
def test_refuses_a_ticket_that_breaks_the_domain_s_rules(ticket):
    refuse(forge(HEADER, CLAIMS | {"ticket": ticket}, KEY))


@pytest.mark.parametrize("text", ["", "..", "a.b.c", "ticket"])
def test_refuses_what_is_no_jwt(text):
    refuse(text)


def test_does_not_guess_at_the_ticket_of_a_newer_release():
    with pytest.raises(NewerFormatError):
        tickets.read_ticket(
            forge(HEADER, {"v": tickets.FORMAT + 1, "requires": "more"}, KEY), KEY, NOW
        )


def test_refuses_a_short_key():
    with pytest.raises(jwt.InvalidKeyError):
        tickets.sign_ticket(TICKET, b"short")


def test_carries_the_standard_claims_for_whoever_debugs_it():
    assert CLAIMS["jti"] == "ticket-1"
    assert CLAIMS["exp"] - CLAIMS["iat"] == TICKET_LIFETIME.total_seconds()
    assert msgspec.convert(CLAIMS["ticket"], Ticket) == TICKET
