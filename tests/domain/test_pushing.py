from datetime import timedelta

import pytest

from stepup.domain.pushing import Again, Delivered, Refused, pause_after, verdict


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(202, b"", Delivered(), id="accepted"),
        pytest.param(200, b"", Again("http_200"), id="any other success is none"),
        pytest.param(307, b"", Again("http_307"), id="a redirect"),
        pytest.param(400, b'{"err":"invalid_issuer"}', Refused("invalid_issuer"), id="refused"),
        pytest.param(400, b'{"err":"x y"}', Refused("other"), id="a name that is none"),
        pytest.param(
            400,
            b'{"err":"authentication_failed"}',
            Again("authentication_failed", counts=False),
            id="about our credentials",
        ),
        pytest.param(400, b"<html>", Again("http_400"), id="no reason given"),
        pytest.param(400, b"[" * 5000, Again("http_400"), id="deep"),
        pytest.param(401, b"", Again("http_401", counts=False), id="not let in"),
        pytest.param(429, b"", Again("http_429", counts=False), id="too many"),
        pytest.param(500, b"", Again("http_500"), id="the SET may have done it"),
        pytest.param(503, b"", Again("http_503", counts=False), id="away"),
    ],
)
def test_rfc8935_2_2_only_202_is_success(status, body, expected):
    assert verdict(status, body) == expected


def test_pauses_grow_to_five_minutes_with_jitter():
    pauses = [pause_after(failures, 0.999999).total_seconds() for failures in range(1, 12)]
    assert pauses == sorted(pauses)
    assert round(pauses[0]) == 2
    assert round(pauses[-1]) == 300
    assert pause_after(3, 0.0) == timedelta(seconds=4)
