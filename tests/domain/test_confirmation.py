"""Who may use a bound token."""

import pytest

from stepup.domain.confirmation import Confirmation, Possession

KEY, CERTIFICATE = Confirmation(jkt="key"), Confirmation(x5t_s256="certificate")


@pytest.mark.parametrize(
    ("possession", "bearer", "dpop", "tls"),
    [
        (Possession(), True, False, False),
        (Possession(jkt="key"), False, True, False),
        (Possession(jkt="another"), False, False, False),
        (Possession(x5t_s256="certificate"), True, False, True),
        (Possession(x5t_s256="another"), True, False, False),
        (Possession(jkt="key", x5t_s256="certificate"), False, True, False),
        (Possession(jkt="certificate", x5t_s256="key"), False, False, False),
    ],
    ids=str,
)
def test_a_token_is_used_with_its_own_key_in_its_own_scheme(
    possession: Possession, bearer: bool, dpop: bool, tls: bool
):
    covered = [possession.covers(each) for each in (None, KEY, CERTIFICATE)]

    assert covered == [bearer, dpop, tls]


@pytest.mark.parametrize("both", [{}, {"jkt": "a", "x5t_s256": "b"}])
def test_a_token_is_bound_to_exactly_one_key(both: dict):
    with pytest.raises(ValueError, match="one key"):
        Confirmation(**both)
