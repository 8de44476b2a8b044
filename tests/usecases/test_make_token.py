"""Which proof the tokens of a client need."""

import pytest

from stepup.domain.authorization_errors import InvalidDpopProofError
from stepup.domain.client import Client
from stepup.domain.client_authentication import Profile
from stepup.domain.confirmation import Confirmation
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import ClientId
from stepup.usecases.make_token import check_proof

KEY, CERTIFICATE = Confirmation(jkt="k"), Confirmation(x5t_s256="c")
DPOP, TLS = {"dpop_bound": True}, {"tls_bound": True}
FAPI = {"profile": Profile.FAPI2}


@pytest.mark.parametrize(
    ("registered", "proof", "error"),
    [
        ({}, None, None),
        ({}, KEY, None),
        ({}, CERTIFICATE, None),
        (DPOP, KEY, None),
        (DPOP, None, InvalidDpopProofError),
        (DPOP, CERTIFICATE, InvalidDpopProofError),
        (TLS, CERTIFICATE, None),
        (TLS, None, InvalidRequestError),
        (TLS, KEY, InvalidRequestError),
        (FAPI, None, InvalidDpopProofError),
        (FAPI, KEY, None),
        (FAPI, CERTIFICATE, None),
        (FAPI | TLS, KEY, InvalidRequestError),
        (FAPI | DPOP, CERTIFICATE, InvalidDpopProofError),
    ],
)
def test_fapi2_5_3_2_1_and_rfc9449_5_2_bound_clients_prove_a_key(registered, proof, error):
    client = Client(client_id=ClientId("bank"), name="Bank", **registered)
    if error is None:
        check_proof(client, proof)
        return
    with pytest.raises(error):
        check_proof(client, proof)
