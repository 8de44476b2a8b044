"""What a person types as an amount."""

import pytest

from stepup.demo.sending import read_amount


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("25", "25.00"),
        ("1250.50", "1250.50"),
        ("1250,5", "1250.50"),
        ("5,000", "5000.00"),
        ("1,250.50", "1250.50"),
        ("1,234,567.89", "1234567.89"),
        ("€ 40", "40.00"),
    ],
)
def test_reads_amounts_as_people_write_them(typed, meant):
    assert read_amount(typed) == meant


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "0",
        "-5",
        "1,23,456",
        "1,2345",
        "12345678",
        "12.345",
        "5.000",
        "1.250,50",
        "1.2.3",
        "1e3",
        "\u0665",
    ],
)
def test_takes_nothing_else_for_an_amount(typed):
    assert read_amount(typed) is None
