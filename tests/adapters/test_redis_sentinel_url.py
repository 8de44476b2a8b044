"""The URL of a set behind Sentinels."""

import pytest

from stepup.adapters.redis.sentinel_url import SentinelUrl


def test_reads_every_sentinel_the_name_and_the_database():
    url = SentinelUrl.parse("redis+sentinel://10.0.0.1:26379,10.0.0.2,[::1]:5000/stepup/3")
    assert [each.address for each in url.sentinels] == [
        ("10.0.0.1", 26379),
        ("10.0.0.2", 26379),
        ("::1", 5000),
    ]
    assert all(each.is_witness for each in url.sentinels)
    assert url.name == "stepup"
    assert url.server(("10.0.0.9", 6379)).url == "redis://10.0.0.9:6379/3"
    assert url.server(("fe80::1", 6379)).address == ("fe80::1", 6379)


def test_servers_and_sentinels_have_their_own_credentials():
    url = SentinelUrl.parse(
        "rediss+sentinel://app:p%40ss@a,b/stepup?sentinel_username=watch&sentinel_password=s&ssl_cert_reqs=none"
    )
    server = url.server(("10.0.0.9", 6379))
    assert server.url == "rediss://app:p%40ss@10.0.0.9:6379/?ssl_cert_reqs=none"
    assert {each.url for each in url.sentinels} == {
        "rediss://a:26379?username=watch&password=s",
        "rediss://b:26379?username=watch&password=s",
    }
    assert "p%40ss" not in f"{url!r} {server!r}"


def test_a_password_with_braces_is_a_password():
    url = SentinelUrl.parse("redis+sentinel://app:hu{s}h{}@a/stepup/3")
    assert url.server(("10.0.0.9", 6379)).url == "redis://app:hu{s}h{}@10.0.0.9:6379/3"


def test_a_sentinel_has_less_time_than_a_server():
    url = SentinelUrl.parse("redis+sentinel://a/stepup")
    assert url.sentinels[0].patience.command == 0.25
    assert url.server(("a", 1)).patience.command == 0.5


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://",
        "redis+sentinel://a",
        "redis+sentinel:///stepup",
        "redis+sentinel://a,/x",
    ],
)
def test_refuses_a_url_without_hosts_or_name(url):
    with pytest.raises(ValueError, match=r"expected redis\+sentinel|no host"):
        SentinelUrl.parse(url)


def test_refuses_an_option_that_nobody_knows():
    with pytest.raises(TypeError):
        SentinelUrl.parse("redis+sentinel://a/stepup?socket_timeoot=3")
