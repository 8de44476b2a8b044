from datetime import timedelta

import pytest

from stepup.sdk import Requirement


def test_refuses_an_unknown_keyword():
    with pytest.raises(TypeError):
        Requirement("a", level="phr", max_ago=300)


def test_needs_a_level():
    with pytest.raises(TypeError):
        Requirement("a")


def test_cannot_be_changed():
    requirement = Requirement("a", level="phr")
    with pytest.raises(AttributeError):
        requirement.level = "urn:stepup:acr:1"


def test_takes_a_span_for_max_age():
    assert Requirement("a", level="phr", max_age=timedelta(minutes=5)).max_age == 300


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"action": ""}, ValueError),
        ({"action": "two words"}, ValueError),
        ({"action": None}, TypeError),
        ({"level": ""}, ValueError),
        ({"level": 2}, TypeError),
        ({"max_age": -1}, ValueError),
        ({"max_age": True}, TypeError),
        ({"max_age": 1.5}, TypeError),
        ({"max_age": "300"}, TypeError),
        ({"bind": "amount"}, TypeError),
        ({"bind": ["amount"]}, TypeError),
        ({"bind": ("amount", "amount")}, ValueError),
        ({"bind": ("",)}, ValueError),
        ({"bind": (1,)}, TypeError),
        ({"once": "no"}, TypeError),
        ({"once": 1}, TypeError),
    ],
    ids=str,
)
def test_stops_the_start_when_it_makes_no_sense(changes, error):
    settings = {"action": "a", "level": "phr"} | changes
    with pytest.raises(error):
        Requirement(settings.pop("action"), **settings)


def test_equal_demands_are_equal():
    assert Requirement("a", level="phr") == Requirement("a", level="phr")
    assert hash(Requirement("a", level="phr")) == hash(Requirement("a", level="phr"))
