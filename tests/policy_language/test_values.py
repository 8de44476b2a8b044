"""What is sent for an attribute, checked exactly."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.decision_request import AttributeType
from stepup.policy_language.spans import format_span, parse_span
from stepup.policy_language.values import WrongValueError, reader_of
from tests.support.builders import an_attribute


class _Refused:
    def __repr__(self) -> str:
        return "refused"


REFUSED = _Refused()


def read(kind: str, value: object, **changes: object) -> object:
    try:
        return reader_of(an_attribute(type=AttributeType(kind), **changes))(value)
    except WrongValueError:
        return REFUSED


@pytest.mark.parametrize(
    ("sent", "units"),
    [
        ("1000.00", 100_000),
        ("1000", 100_000),
        ("1000.5", 100_050),
        ("0.01", 1),
        ("-0.01", -1),
        ("-12.30", -1230),
        ("1.000", 100),
        (1000, 100_000),
        (0, 0),
        (1000.1, 100_010),
        (0.29, 29),
        (1.1 + 2.2, REFUSED),
        (0.1 + 0.2, REFUSED),
        ("0.001", REFUSED),
        (0.001, REFUSED),
        (1e22, REFUSED),
        (1e-7, REFUSED),
        (float("nan"), REFUSED),
        (float("inf"), REFUSED),
        (2**70, REFUSED),
        ("99999999999999999999", REFUSED),
        ("92233720368547758.07", 2**63 - 1),
        ("92233720368547758.08", REFUSED),
        ("1,000.00", REFUSED),
        ("1_000", REFUSED),
        ("1e3", REFUSED),
        ("+5", REFUSED),
        (".5", REFUSED),
        ("5.", REFUSED),
        (" 5", REFUSED),
        ("5\n", REFUSED),
        ("\u0665", REFUSED),
        ("", REFUSED),
        (True, REFUSED),
        (["5"], REFUSED),
        ({"value": 5}, REFUSED),
    ],
    ids=repr,
)
def test_money_is_a_whole_number_of_minor_units_or_nothing(sent, units):
    assert read("decimal", sent) == units


@given(st.decimals(-(10**12), 10**12, places=2))
def test_money_is_never_rounded(amount: Decimal):
    assert read("decimal", str(amount)) == int(amount * 100)


@pytest.mark.parametrize(
    ("scale", "units"), [(0, REFUSED), (1, 15), (3, 1500), (9, 1_500_000_000)], ids=repr
)
def test_money_has_the_declared_scale(scale, units):
    assert read("decimal", "1.5", scale=scale) == units


@pytest.mark.parametrize(
    ("kind", "sent", "value"),
    [
        pytest.param("string", "x", "x", id="string"),
        pytest.param("string", "é" * 512, "é" * 512, id="string of 1 KiB"),
        pytest.param("string", "é" * 513, REFUSED, id="string above 1 KiB"),
        pytest.param("string", "\ud800", REFUSED, id="half a character"),
        pytest.param("string", 5, REFUSED, id="number for a string"),
        pytest.param("int", 5, 5, id="int"),
        pytest.param("int", 2**63 - 1, 2**63 - 1, id="largest int"),
        pytest.param("int", 2**63, REFUSED, id="int out of range"),
        pytest.param("int", 5.0, REFUSED, id="double for an int"),
        pytest.param("int", "5", REFUSED, id="string for an int"),
        pytest.param("int", True, REFUSED, id="bool for an int"),
        pytest.param("double", 5, 5.0, id="int for a double"),
        pytest.param("double", 5.5, 5.5, id="double"),
        pytest.param("double", float("nan"), REFUSED, id="nan"),
        pytest.param("double", 10**400, REFUSED, id="huge int for a double"),
        pytest.param("double", "5.5", REFUSED, id="string for a double"),
        pytest.param("bool", False, False, id="bool"),
        pytest.param("bool", 1, REFUSED, id="int for a bool"),
        pytest.param("bool", "true", REFUSED, id="string for a bool"),
        pytest.param("timestamp", "2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC), id="timestamp"),
        pytest.param("timestamp", "2026-01-31t12:00:00.123456789z", datetime(2026, 1, 31, 12, 0, 0, 123456, UTC), id="nanoseconds"),
        pytest.param("timestamp", "2026-01-31T12:00:00", REFUSED, id="timestamp without an offset"),
        pytest.param("timestamp", "2026-02-30T12:00:00Z", REFUSED, id="no such day"),
        pytest.param("timestamp", "0001-01-01T00:00:00+23:59", REFUSED, id="before all time"),
        pytest.param("timestamp", 1_700_000_000, REFUSED, id="number for a timestamp"),
        pytest.param("duration", "1h30m", timedelta(minutes=90), id="duration"),
        pytest.param("duration", 90, timedelta(seconds=90), id="seconds"),
        pytest.param("duration", -1, REFUSED, id="negative duration"),
        pytest.param("ip", "10.0.0.1", "10.0.0.1", id="ipv4"),
        pytest.param("ip", "2001:DB8:0::1", "2001:db8::1", id="ipv6 in its one form"),
        pytest.param("ip", "::ffff:10.0.0.1", "10.0.0.1", id="ipv4 inside ipv6"),
        pytest.param("ip", "10.0.0.256", REFUSED, id="no address"),
        pytest.param("ip", "10.0.0.1/8", REFUSED, id="a network for an address"),
        pytest.param("ip", 167772161, REFUSED, id="number for an address"),
        pytest.param("list", ["a"] * 200, ["a"] * 200, id="200 items"),
        pytest.param("list", ["a"] * 201, REFUSED, id="201 items"),
        pytest.param("list", [1], REFUSED, id="a number in a list"),
        pytest.param("list", [["a"]], REFUSED, id="a list in a list"),
        pytest.param("list", "a", REFUSED, id="string for a list"),
    ],
)  # fmt: skip
def test_a_value_is_of_its_declared_type(kind, sent, value):
    assert read(kind, sent) == value


@pytest.mark.parametrize(
    ("kind", "sent", "value"),
    [
        ("string", "EUR", "EUR"),
        ("string", "eur", REFUSED),
        ("string", ["EUR"], REFUSED),
        ("list", ["EUR", "USD"], ["EUR", "USD"]),
        ("list", ["EUR", "GBP"], REFUSED),
        ("list", "EUR", REFUSED),
    ],
    ids=repr,
)
def test_an_enumerated_value_is_one_of_those_declared(kind, sent, value):
    assert read(kind, sent, enum=("EUR", "USD")) == value


@pytest.mark.parametrize("kind", list(AttributeType))
@given(
    sent=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(), c, max_size=3),
        max_leaves=5,
    )
)
def test_reads_or_refuses_whatever_json_brings(kind, sent):
    read(kind, sent)


@pytest.mark.parametrize(
    "text", ["", "5", "15 m", "m", "-5m", "1.5h", "5x", "1m1h", "\u0665m", "1e3s"]
)
def test_refuses_spans_that_are_none(text):
    assert parse_span(text) is None


@given(st.integers(0, 10**9).map(lambda seconds: timedelta(seconds=seconds)))
def test_reads_the_spans_it_writes(span):
    assert parse_span(format_span(span)) == span
