"""Pushing over real HTTP: what is sent, what the answers mean, and where nobody is called."""

import pytest

from stepup.adapters.receivers import pushing
from stepup.adapters.receivers.pushing import HttpPusher
from stepup.domain.pushing import Again, Delivered, Refused
from tests.support.http_receiver import HttpReceiver, listening

UNREACHABLE = Again("unreachable", counts=False)
NOT_PUBLIC = Again("address_not_public", counts=False)


@pytest.fixture
async def receiver():
    async with listening() as receiver:
        yield receiver


@pytest.fixture
async def pusher():
    pusher = HttpPusher(development=True)
    yield pusher
    await pusher.close()


async def test_rfc8935_2_1_a_set_is_posted(pusher: HttpPusher, receiver: HttpReceiver):
    assert await pusher.push(receiver.url, "a.b.c", "Bearer of-the-crm") == Delivered()
    [sent] = receiver.received
    assert (sent.path, sent.body) == ("/events", "a.b.c")
    assert sent.headers["content-type"] == "application/secevent+jwt"
    assert sent.headers["accept"] == "application/json"
    assert sent.headers["authorization"] == "Bearer of-the-crm"
    assert sent.headers["host"] == receiver.url.split("/")[2]


async def test_without_a_header_none_is_sent(pusher: HttpPusher, receiver: HttpReceiver):
    await pusher.push(receiver.url, "a.b.c", None)
    assert "authorization" not in receiver.received[0].headers


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (202, b"", Delivered()),
        (400, b'{"err":"invalid_issuer","description":"?"}', Refused("invalid_issuer")),
        (500, b"", Again("http_500")),
        (302, b"", Again("http_302")),
        (200, b"x" * 100_000, Again("http_200")),
    ],
)
async def test_rfc8935_2_2_what_an_answer_means(pusher, receiver, status, body, verdict):
    receiver.answer = lambda _: (status, body)
    assert await pusher.push(receiver.url, "a.b.c", None) == verdict
    # Also after a redirect nobody else was called.
    assert len(receiver.received) == 1


async def test_a_receiver_that_is_not_there(pusher: HttpPusher):
    async with listening() as gone:
        url = gone.url
    assert await pusher.push(url, "a.b.c", None) == UNREACHABLE


async def test_a_slow_receiver_is_waited_for_no_longer_than_that(pusher, receiver, monkeypatch):
    monkeypatch.setattr(pushing, "_TOTAL_SECONDS", 0.2)
    receiver.delay = 5
    assert await pusher.push(receiver.url, "a.b.c", None) == UNREACHABLE


async def test_attack_a_receivers_connection_is_used_for_another_receiver_at_its_address(receiver):
    """What was checked is the certificate of one name; the other one may have been led astray."""
    receiver.keeps_open = True
    pusher = HttpPusher(development=True, look_up=lambda *_: ["127.0.0.1"])
    here = receiver.url.replace("127.0.0.1", "{}")
    for name in ("receiver.example", "other.example"):
        assert await pusher.push(here.format(name), "a.b.c", "Bearer secret") == Delivered()
    assert receiver.connections == 2
    await pusher.close()


async def test_attack_ssrf_nobody_calls_this_machine_in_production(receiver: HttpReceiver):
    pusher = HttpPusher()
    port = receiver.url.split(":")[2].split("/")[0]
    for url in (receiver.url, f"http://localhost:{port}/", f"http://[::ffff:127.0.0.1]:{port}/"):
        assert await pusher.push(url, "a.b.c", None) == NOT_PUBLIC
    assert receiver.received == []
    await pusher.close()


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["fd00::1"],
        ["fe80::1%eth0"],
        ["::ffff:192.168.0.1"],
        ["93.184.216.34", "192.168.0.1"],
        [],
    ],
)
async def test_attack_ssrf_by_a_name_that_leads_inside(addresses):
    pusher = HttpPusher(look_up=lambda *_: addresses)
    assert await pusher.push("https://crm.example/", "a.b.c", None) == NOT_PUBLIC
    await pusher.close()


async def test_attack_ssrf_by_a_name_that_leads_elsewhere_the_second_time(receiver: HttpReceiver):
    # What was checked is what is called: the name is looked up once and never again.
    asked = []

    def look_up(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    pusher = HttpPusher(development=True, look_up=look_up)
    port = int(receiver.url.split(":")[2].split("/")[0])
    assert await pusher.push(f"http://crm.example:{port}/x", "a.b.c", None) == Delivered()
    assert asked == [("crm.example", port)]
    assert receiver.received[0].headers["host"] == f"crm.example:{port}"
    await pusher.close()


@pytest.mark.parametrize("url", ["", "crm.example", "https://[::", "gopher://crm.example/"])
async def test_what_is_no_address_reaches_nobody(pusher: HttpPusher, url: str):
    assert await pusher.push(url, "a.b.c", None) in (UNREACHABLE, NOT_PUBLIC)
