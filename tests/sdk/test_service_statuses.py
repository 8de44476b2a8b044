"""Status lists that the service itself signed, read by the SDK, which shares no code with it."""

import msgspec
import pytest

from stepup.crypto.status_list import (
    PackedStatuses,
    StatusListClaims,
    compressed,
    sign_status_list,
)
from stepup.domain import status
from stepup.domain.token import StatusReference
from stepup.sdk import InvalidToken, StatusCheck
from stepup.sdk.transport import HttpAnswer
from tests.sdk.minting import ISSUER, TRANSFER, VALUES, a_stepup
from tests.sdk.test_service_tokens import THEN, OwnIssuer

URI = f"{ISSUER}{status.STATUS_PATH}/r1.3000000.drawn"


@pytest.mark.parametrize(
    ("said", "passes"), [(status.Status.VALID, True), (1, False), (status.Status.SUSPENDED, False)]
)
def test_a_list_of_the_service_is_read_as_it_was_meant(sdk_clock, said: int, passes: bool):
    issuer = OwnIssuer()
    packed = PackedStatuses(status.BITS, status.PLACES)
    packed[77] = said
    claims = StatusListClaims(
        uri=URI,
        aggregation_uri=f"{ISSUER}{status.STATUS_PATH}",
        bits=status.BITS,
        issued_at=THEN,
        lifetime=status.LIST_LIFETIME,
        ttl=status.TTL,
    )
    body = sign_status_list(claims, compressed(bytes(packed)), issuer.key).encode()
    su = a_stepup(
        issuer,
        sdk_clock,
        status_check=StatusCheck(),
        transport=lambda _request: HttpAnswer(200, {}, body),
    )
    raw = issuer.sign(status=StatusReference(index=77, uri=URI))
    if passes:
        assert su.verify(raw, TRANSFER, VALUES)
    else:
        with pytest.raises(InvalidToken, match="revoked"):
            su.verify(raw, TRANSFER, VALUES)
    neighbour = issuer.sign(status=StatusReference(index=78, uri=URI))
    assert su.verify(neighbour, TRANSFER, VALUES).status == (URI, 78)


def test_a_token_of_a_release_without_lists_is_read_where_that_is_said(sdk_clock):
    issuer = OwnIssuer()
    raw = issuer.sign()
    assert a_stepup(issuer, sdk_clock, status_check=StatusCheck(required=False)).verify(
        raw, TRANSFER, VALUES
    )
    with pytest.raises(InvalidToken, match="no status list"):
        a_stepup(issuer, sdk_clock, status_check=StatusCheck()).verify(raw, TRANSFER, VALUES)


def test_nothing_of_ours_is_suspended_and_the_width_has_room_for_it():
    assert max(status.Status) < 2**status.BITS
    assert msgspec.json.decode(msgspec.json.encode(status.Status.SUSPENDED)) == 2
