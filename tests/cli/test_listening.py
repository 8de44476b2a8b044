import socket

import click
import pytest

from stepup.cli.listening import free_port, listen, listen_or_explain, port_of


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_localhost_means_both_loopback_addresses_with_one_port():
    sockets = listen("127.0.0.1", 0)
    try:
        assert {each.getsockname()[1] for each in sockets} == {port_of(sockets)}
        assert sockets[0].getsockname()[0] == "127.0.0.1"
        if socket.has_ipv6:
            assert sockets[-1].getsockname()[0] in {"127.0.0.1", "::1"}
    finally:
        for each in sockets:
            each.close()


def test_a_port_in_use_is_one_clear_line(taken):
    with pytest.raises(click.ClickException, match=f"cannot listen on 127.0.0.1 port {taken}"):
        listen_or_explain("127.0.0.1", taken)


def test_takes_another_port_when_the_preferred_one_is_in_use(taken):
    assert free_port(taken) != taken
