"""How a Cluster is named."""

import pytest

from stepup.adapters.redis.cluster_url import ClusterUrl


def test_reads_some_of_the_nodes():
    url = ClusterUrl.parse("redis+cluster://one:7000,two,[::1]:7002")
    assert url.nodes == (("one", 7000), ("two", 6379), ("::1", 7002))
    assert not url.is_encrypted
    assert url.server(("::1", 7002)).url == "redis://[::1]:7002"


def test_user_password_and_options_are_those_of_every_node():
    url = ClusterUrl.parse("rediss+cluster://stepup:hush@one:7000,two:7001?ssl_cert_reqs=none")
    server = url.server(("three", 7002))
    assert server.url == "rediss://stepup:hush@three:7002?ssl_cert_reqs=none"
    assert url.is_encrypted
    assert "hush" not in f"{url!r} {server!r} {server}"


def test_a_password_with_braces_is_a_password():
    url = ClusterUrl.parse("redis+cluster://stepup:hu{s}h{}@one:7000")
    assert url.server(("two", 7001)).url == "redis://stepup:hu{s}h{}@two:7001"


@pytest.mark.parametrize(
    "url",
    ["redis+cluster://", "redis+cluster://:7000", "redis+cluster://one,", "redis+cluster://one/1"],
)
def test_refuses_what_cannot_be_meant(url):
    with pytest.raises(ValueError, match=r"redis\+cluster|databases"):
        ClusterUrl.parse(url)


def test_refuses_an_option_that_nobody_knows():
    with pytest.raises(TypeError):
        ClusterUrl.parse("redis+cluster://one?socket_timeoot=3")


@pytest.mark.parametrize(
    ("url", "is_meant"),
    [
        ("redis+cluster://one", True),
        ("rediss+cluster://one", True),
        ("redis+sentinel://one/name", False),
        ("redis://one", False),
    ],
)
def test_knows_when_a_cluster_is_meant(url, is_meant):
    assert ClusterUrl.is_meant_by(url) is is_meant
