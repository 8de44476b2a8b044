"""What a service knows of revocations by status lists, and what it does when it knows nothing."""

import base64
import gzip
import json
import threading
import zlib

import jwt
import pytest

from stepup.sdk import InvalidToken, StatusCheck, StepUp, StepUpRequired, UnavailableError
from stepup.sdk.transport import HttpAnswer
from tests.sdk.minting import (
    ABSENT,
    ISSUER,
    NOW,
    PLAIN,
    Clock,
    Issuer,
    Key,
    a_stepup,
    claims_of_level,
)
from tests.support import vectors

URI = f"{ISSUER}/status-lists/r1.1.x"
MEDIA_TYPE = "application/statuslist+jwt"
VECTORS = vectors.load("token-status-list")


class Lists:
    """The issuer's status lists, as a transport; every way to lie is an attribute."""

    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        self.issuer, self.clock = issuer, clock
        self.statuses = bytearray(64)
        self.asked = []
        self.answer = None
        self.away = False
        self.changes: dict = {}
        self.headers: dict = {}
        self.key: Key | None = None
        self.gzipped = False
        self.etag = None

    def __call__(self, request):
        self.asked.append(request)
        if self.away:
            raise UnavailableError("away")
        if self.answer is not None:
            return self.answer
        if self.etag is not None and request.headers.get("If-None-Match") == self.etag:
            return HttpAnswer(304, {"etag": self.etag})
        body = self.body().encode()
        sent = {"content-type": MEDIA_TYPE} | ({"etag": self.etag} if self.etag else {})
        if self.gzipped:
            return HttpAnswer(200, sent | {"content-encoding": "gzip"}, gzip.compress(body))
        return HttpAnswer(200, sent, body)

    def body(self) -> str:
        key = self.key or self.issuer.keys[0]
        now = int(self.clock())
        claims = {
            "sub": URI,
            "iat": now,
            "exp": now + 60,
            "ttl": 3,
            "status_list": {"bits": 2, "lst": packed(bytes(self.statuses))},
        } | self.changes
        claims = {name: value for name, value in claims.items() if value is not ABSENT}
        headers = {"typ": "statuslist+jwt", "kid": key.kid} | self.headers
        return jwt.PyJWS().encode(json.dumps(claims).encode(), key.private, key.alg, headers)

    def revoke(self, place: int, status: int = 1) -> None:
        self.statuses[place // 4] |= status << place % 4 * 2


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(data, 9)).rstrip(b"=").decode()


@pytest.fixture
def lists(issuer, sdk_clock) -> Lists:
    return Lists(issuer, sdk_clock)


@pytest.fixture
def su(issuer, sdk_clock, lists) -> StepUp:
    return checking(issuer, sdk_clock, lists)


def checking(issuer, clock, lists, **strictness) -> StepUp:
    return a_stepup(issuer, clock, transport=lists, status_check=StatusCheck(**strictness))


def a_token(issuer, place=7, uri=URI, **changes):
    status = {"status_list": {"idx": place, "uri": uri}}
    return issuer.mint(**claims_of_level(**{"exp": NOW + 600, "status": status} | changes))


def test_a_valid_token_passes_and_the_list_is_kept_for_its_ttl(su, issuer, lists, sdk_clock):
    for _ in range(3):
        assert su.verify(a_token(issuer), PLAIN)
        assert su.verify(a_token(issuer, 8), PLAIN)
    assert len(lists.asked) == 1
    assert lists.asked[0].url == URI
    assert lists.asked[0].headers["Accept"] == MEDIA_TYPE
    sdk_clock.advance(3)
    assert su.verify(a_token(issuer), PLAIN)
    assert len(lists.asked) == 2


@pytest.mark.parametrize("status", [1, 2, 3])
def test_a_token_that_is_not_valid_any_more_is_refused(su, issuer, lists, status):
    lists.revoke(7, status)
    with pytest.raises(InvalidToken, match="revoked"):
        su.verify(a_token(issuer), PLAIN)
    assert su.verify(a_token(issuer, 6), PLAIN)


def test_a_revocation_is_seen_as_soon_as_the_list_is_asked_for_again(su, issuer, lists, sdk_clock):
    raw = a_token(issuer)
    assert su.verify(raw, PLAIN)
    lists.revoke(7)
    sdk_clock.advance(3)
    with pytest.raises(InvalidToken, match="revoked"):
        su.verify(raw, PLAIN)


def test_who_was_revoked_does_not_learn_what_is_needed(su, issuer, lists):
    lists.revoke(7)
    with pytest.raises(InvalidToken):
        su.verify(a_token(issuer, acr="urn:stepup:acr:1"), PLAIN)
    with pytest.raises(StepUpRequired):
        su.verify(a_token(issuer, 8, acr="urn:stepup:acr:1"), PLAIN)


@pytest.mark.parametrize("place", [256, 2**40])
def test_draft_8_3_a_place_outside_of_the_list_is_refused(su, issuer, place):
    with pytest.raises(InvalidToken, match="no such place"):
        su.verify(a_token(issuer, place), PLAIN)


@pytest.mark.parametrize("place", [-1, True, 1.5, "7", None])
def test_a_place_that_is_none_is_refused(su, issuer, place):
    with pytest.raises(InvalidToken, match="malformed"):
        su.verify(a_token(issuer, place), PLAIN)


@pytest.mark.parametrize("status", [ABSENT, {}, {"status_list": None}, {"other": {}}, "valid"])
def test_a_token_without_a_list_is_refused_unless_it_may_be(issuer, sdk_clock, lists, status):
    raw = issuer.mint(**claims_of_level(status=status))
    with pytest.raises(InvalidToken, match="names no status list"):
        checking(issuer, sdk_clock, lists).verify(raw, PLAIN)
    assert checking(issuer, sdk_clock, lists, required=False).verify(raw, PLAIN)


def test_without_the_check_nobody_is_asked(issuer, sdk_clock, lists):
    assert a_stepup(issuer, sdk_clock, transport=lists).verify(a_token(issuer), PLAIN)
    assert lists.asked == []


@pytest.mark.parametrize(
    "uri", ["https://evil.example/x", f"{ISSUER}.evil.example/x", "file:///etc/passwd", ISSUER]
)
def test_no_other_host_is_asked(su, issuer, lists, uri):
    with pytest.raises(InvalidToken, match="not the issuer's"):
        su.verify(a_token(issuer, uri=uri), PLAIN)
    assert lists.asked == []


LIES = {
    "a list of another address": {"sub": f"{ISSUER}/status-lists/r1.1.y"},
    "no address": {"sub": ABSENT},
    "a list that has ended": {"exp": NOW},
    "a list of tomorrow": {"iat": NOW + 86_400, "exp": NOW + 90_000},
    "no end": {"exp": ABSENT},
    "no ttl": {"ttl": ABSENT},
    "a ttl below zero": {"ttl": -1},
    "no statuses": {"status_list": ABSENT},
    "an unknown width": {"status_list": {"bits": 3, "lst": packed(bytes(64))}},
    "no zlib": {"status_list": {"bits": 2, "lst": "AAAA"}},
    "a list that is cut off": {"status_list": {"bits": 2, "lst": packed(bytes(64))[:-4]}},
    "a decompression bomb": {"status_list": {"bits": 2, "lst": packed(bytes(5 << 20))}},
}


@pytest.mark.parametrize("changes", LIES.values(), ids=LIES)
def test_a_list_that_does_not_hold_lets_nobody_through(su, issuer, lists, changes):
    lists.changes = changes
    with pytest.raises(UnavailableError, match="does not hold"):
        su.verify(a_token(issuer), PLAIN)


def test_a_forged_list_lets_nobody_through(su, issuer, lists):
    """Signed by a stranger under our key's name."""
    lists.key = Key(kid=issuer.keys[0].kid)
    with pytest.raises(UnavailableError, match="signature"):
        su.verify(a_token(issuer), PLAIN)


@pytest.mark.parametrize("headers", [{"typ": "at+jwt"}, {"kid": "unknown"}, {"crit": ["exp"]}])
def test_another_kind_of_token_is_no_list(su, issuer, lists, headers):
    lists.headers = headers
    with pytest.raises(UnavailableError, match="does not hold"):
        su.verify(a_token(issuer), PLAIN)


def test_an_access_token_is_no_list_whatever_it_says(su, issuer, lists):
    lists.answer = HttpAnswer(200, {}, a_token(issuer, sub=URI).encode())
    with pytest.raises(UnavailableError):
        su.verify(a_token(issuer), PLAIN)


def test_it_is_read_compressed(su, issuer, lists):
    lists.gzipped = True
    lists.revoke(7)
    with pytest.raises(InvalidToken, match="revoked"):
        su.verify(a_token(issuer), PLAIN)


@pytest.mark.parametrize(
    "answer",
    [
        HttpAnswer(200, {"content-encoding": "gzip"}, gzip.compress(bytes(5 << 20))),
        HttpAnswer(200, {"content-encoding": "gzip"}, b"no gzip"),
        HttpAnswer(200, {"content-encoding": "br"}, b""),
        HttpAnswer(200, {}, b"\xff"),
        HttpAnswer(200, {}, b"a.b"),
        HttpAnswer(200, {}, b"W10.W10.W10"),
        HttpAnswer(304, {}),
        HttpAnswer(404, {}),
        HttpAnswer(302, {"location": "https://evil.example/"}),
    ],
    ids=["bomb", "garbage", "br", "binary", "two parts", "lists", "304", "404", "redirect"],
)
def test_an_answer_that_is_none_lets_nobody_through(su, issuer, lists, answer):
    lists.answer = answer
    with pytest.raises(UnavailableError):
        su.verify(a_token(issuer), PLAIN)


def test_what_has_not_changed_is_not_sent_again(su, issuer, lists, sdk_clock):
    lists.etag = '"one"'
    raw = a_token(issuer)
    for _ in range(4):
        assert su.verify(raw, PLAIN)
        sdk_clock.advance(3)
    assert [each.headers.get("If-None-Match") for each in lists.asked] == [None] + ['"one"'] * 3


def test_a_list_that_is_confirmed_for_ever_ends_all_the_same(su, issuer, lists, sdk_clock):
    """Who answers 304 to everything cannot hold a revocation back past the list's own end."""
    lists.etag = '"one"'
    assert su.verify(a_token(issuer), PLAIN)
    lists.revoke(7)
    sdk_clock.advance(60)
    with pytest.raises(InvalidToken, match="revoked"):
        su.verify(a_token(issuer), PLAIN)


def test_attack_nobody_asked_whether_it_has_changed(su, issuer, lists, sdk_clock):
    raw = a_token(issuer)
    assert su.verify(raw, PLAIN)
    lists.answer = HttpAnswer(304, {})
    sdk_clock.advance(60)
    with pytest.raises(UnavailableError):
        su.verify(raw, PLAIN)


def test_while_the_issuer_is_away_nobody_passes_once_the_list_is_old(su, issuer, lists, sdk_clock):
    assert su.verify(a_token(issuer), PLAIN)
    lists.away = True
    sdk_clock.advance(2)
    assert su.verify(a_token(issuer), PLAIN)
    sdk_clock.advance(1)
    with pytest.raises(UnavailableError):
        su.verify(a_token(issuer), PLAIN)


def test_an_old_list_may_serve_for_as_long_as_was_configured(issuer, sdk_clock, lists):
    su = checking(issuer, sdk_clock, lists, stale_for=30)
    assert su.verify(a_token(issuer), PLAIN)
    lists.away = True
    sdk_clock.advance(32)
    assert su.verify(a_token(issuer), PLAIN)
    sdk_clock.advance(2)
    with pytest.raises(UnavailableError):
        su.verify(a_token(issuer), PLAIN)


def test_no_list_serves_past_its_own_end(issuer, sdk_clock, lists):
    su = checking(issuer, sdk_clock, lists, stale_for=3600)
    assert su.verify(a_token(issuer), PLAIN)
    lists.away = True
    sdk_clock.advance(60)
    with pytest.raises(UnavailableError):
        su.verify(a_token(issuer), PLAIN)


def test_an_issuer_that_is_away_is_asked_twice_a_second_and_no_more(su, issuer, lists, sdk_clock):
    lists.away = True
    for _ in range(5):
        with pytest.raises(UnavailableError):
            su.verify(a_token(issuer), PLAIN)
    assert len(lists.asked) == 1
    sdk_clock.advance(0.5)
    with pytest.raises(UnavailableError):
        su.verify(a_token(issuer), PLAIN)
    assert len(lists.asked) == 2


def test_a_service_may_want_it_younger_than_its_ttl(issuer, sdk_clock, lists):
    su = checking(issuer, sdk_clock, lists, max_age=0)
    for _ in range(3):
        assert su.verify(a_token(issuer), PLAIN)
    assert len(lists.asked) == 3


def test_it_is_renewed_before_anybody_must_wait_for_it(su, issuer, lists, sdk_clock):
    assert su.verify(a_token(issuer), PLAIN)
    renewed = threading.Event()
    held = lists.__call__

    class Watched(Lists):
        def __call__(self, request):
            try:
                return held(request)
            finally:
                renewed.set()

    su._statuses._transport = Watched(issuer, sdk_clock)
    sdk_clock.advance(2)
    assert su.verify(a_token(issuer), PLAIN)
    assert renewed.wait(5)


def test_many_at_once_ask_once(su, issuer, lists):
    raw = a_token(issuer)
    threads = [threading.Thread(target=su.verify, args=(raw, PLAIN)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lists.asked) == 1


async def test_the_loop_does_not_wait_for_a_list(su, issuer, lists):
    threads = []
    lists.answer = None
    held = su._statuses._transport

    def watched(request):
        threads.append(threading.current_thread())
        return held(request)

    su._statuses._transport = watched
    assert await su.verify_async(a_token(issuer), PLAIN)
    assert threads != [threading.main_thread()]


async def test_a_revoked_token_is_refused_in_the_loop_as_well(su, issuer, lists):
    lists.revoke(7)
    for _ in range(2):
        with pytest.raises(InvalidToken, match="revoked"):
            await su.verify_async(a_token(issuer), PLAIN)


def test_lists_that_nobody_asks_for_are_forgotten(su, issuer, lists):
    for i in range(40):
        uri = f"{ISSUER}/status-lists/r1.1.{i}"
        lists.changes = {"sub": uri}
        assert su.verify(a_token(issuer, uri=uri), PLAIN)
    assert len(su._statuses._lists) == 16


@pytest.mark.parametrize("vector", VECTORS["small"] + VECTORS["long"], ids=lambda v: v["lst"][:12])
def test_the_drafts_vectors_are_read(su, issuer, lists, vector):
    lists.changes = {"status_list": {"bits": vector["bits"], "lst": vector["lst"]}}
    statuses = vector.get("nonzero_statuses") or dict(enumerate(vector["statuses"]))
    for place, status in [(int(place), status) for place, status in statuses.items()][:40]:
        raw = a_token(issuer, place)
        if status == 0:
            assert su.verify(raw, PLAIN)
        else:
            with pytest.raises(InvalidToken, match="revoked"):
                su.verify(raw, PLAIN)


@pytest.mark.parametrize("times", [{"stale_for": -1.0}, {"max_age": -1.0}])
def test_times_that_mean_nothing_stop_the_start(times):
    with pytest.raises(ValueError, match="not negative"):
        StatusCheck(**times)
