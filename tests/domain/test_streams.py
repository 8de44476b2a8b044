from datetime import UTC, datetime

import msgspec
import pytest

from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import ClientId
from stepup.domain.signals import EVENTS_SUPPORTED, EventType
from stepup.domain.streams import (
    Delivery,
    DeliveryMethod,
    Stream,
    StreamId,
    StreamStatus,
    check_endpoint,
    check_header,
    checked,
)

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
REVOKED, CHANGE = EventType.SESSION_REVOKED, EventType.CREDENTIAL_CHANGE


def a_stream(**changes) -> Stream:
    stream = Stream(id=StreamId("s1"), client_id=ClientId("crm"), audience="crm", created_at=NOON)
    return msgspec.structs.replace(stream, **changes)


def pushed(**changes) -> Delivery:
    return Delivery(
        **{"method": DeliveryMethod.PUSH, "endpoint_url": "https://crm.example/events"} | changes
    )


@pytest.mark.parametrize(
    ("requested", "delivered"),
    [
        pytest.param((), EVENTS_SUPPORTED, id="nothing asked for is everything"),
        pytest.param((str(REVOKED), "urn:example:other"), (REVOKED,), id="what exists of it"),
        pytest.param(("urn:example:other",), (), id="nothing that exists"),
    ],
)
def test_ssf_8_1_1_delivers_what_was_requested_and_is_supported(requested, delivered):
    assert a_stream(events_requested=requested).events_delivered == delivered


@pytest.mark.parametrize(
    ("changes", "chosen", "wanted"),
    [
        pytest.param({}, None, True, id="everybody"),
        pytest.param({}, False, False, id="everybody but one"),
        pytest.param({"everybody": False}, None, False, id="nobody"),
        pytest.param({"everybody": False}, True, True, id="nobody but one"),
        pytest.param({"status": StreamStatus.PAUSED}, None, True, id="held while paused"),
        pytest.param({"status": StreamStatus.DISABLED}, None, False, id="not held when disabled"),
        pytest.param({"events_requested": (str(CHANGE),)}, None, False, id="not asked for"),
    ],
)
def test_ssf_8_1_2_and_8_1_3_an_event_belongs_into_a_stream(changes, chosen, wanted):
    assert a_stream(**changes).wants(REVOKED, chosen=chosen) is wanted


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example/events",
        "ftp://crm.example/events",
        "https:///events",
        "https://user:password@crm.example/",
        "https://crm.example/#fragment",
        "https://crm.example:port/",
        "https://crm.example/a b",
        "https://crm.example/\r\nx: y",
        "https://" + "a" * 2048,
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://192.168.1.1/",
        "https://172.16.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[2002:0a00:0001::1]/",
        # Through a gateway (RFC 6052) to the metadata of a cloud.
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[::a9fe:a9fe]/",
        "https://localhost/",
        "https://db.internal/",
    ],
)
def test_attack_ssrf_by_the_endpoint_of_a_stream(url):
    with pytest.raises(InvalidRequestError):
        check_endpoint(url, development=False)


@pytest.mark.parametrize(
    "url", ["https://crm.example/events?x=1", "https://93.184.216.34/", "https://crm.example:8443/"]
)
def test_a_public_address_may_be_called(url):
    check_endpoint(url, development=False)


def test_in_development_this_machine_may_be_called_and_no_other_one():
    for url in ("http://127.0.0.1:9000/events", "http://localhost:9000/", "http://[::1]:9000/"):
        check_endpoint(url, development=True)
    for url in ("http://10.0.0.1/", "https://10.0.0.1/", "http://crm.example/"):
        with pytest.raises(InvalidRequestError):
            check_endpoint(url, development=True)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"delivery": pushed(endpoint_url=None)}, id="push without an address"),
        pytest.param(
            {"delivery": Delivery(endpoint_url="https://crm.example")}, id="poll with an address"
        ),
        pytest.param({"description": "x" * 1025}, id="a long description"),
        pytest.param({"events_requested": ("x",) * 65}, id="many events"),
    ],
)
def test_refuses_a_stream_that_cannot_be_served(changes):
    with pytest.raises(InvalidRequestError):
        checked(a_stream(**changes), development=False)


@pytest.mark.parametrize("value", ["Bearer x\r\ny: z", "", " Bearer x", "Bearer é", "x" * 2049])
def test_attack_a_second_header_in_the_authorization_header(value):
    with pytest.raises(InvalidRequestError):
        check_header(value)


def test_a_header_is_kept_sealed_and_not_shown():
    check_header("Bearer secret")
    assert "sealed" not in repr(a_stream(delivery=pushed(sealed_header=b"sealed")))
