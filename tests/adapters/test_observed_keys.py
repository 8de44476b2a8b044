"""The figures of signing keys."""

from datetime import timedelta

import msgspec

from stepup.adapters.observed_keys import ObservedKeys
from stepup.crypto.keys import generate_signing_key
from stepup.domain.keyring import Keyring, KeyState, KeyUse, SigningKey
from stepup.telemetry import REGISTRY
from tests.support.determinism import NOON


def state_of(key: SigningKey) -> str:
    """The one state that is shown."""
    [shown] = [
        state
        for state in KeyState
        if REGISTRY.get_sample_value(
            "stepup_signing_key_state", {"kid": key.id, "state": state, **labels(key)}
        )
    ]
    return shown


def labels(key: SigningKey) -> dict[str, str]:
    return {"use": key.use, "algorithm": key.algorithm, "region": key.region}


def age_of(key: SigningKey) -> float | None:
    return REGISTRY.get_sample_value("stepup_signing_key_age_seconds", labels(key))


def test_every_key_shows_one_state_and_one_that_is_seen_no_more_is_gone():
    old = generate_signing_key(state=KeyState.RETIRING)
    active = msgspec.structs.replace(generate_signing_key(), since=NOON)
    observe = ObservedKeys()

    observe(Keyring(keys=(old, active), root=b""), NOON)
    assert (state_of(old), state_of(active)) == (KeyState.RETIRING, KeyState.ACTIVE)
    observe(Keyring(keys=(active,), root=b""), NOON + timedelta(hours=1))

    assert state_of(old) == KeyState.GONE
    assert age_of(active) == 3600


def test_each_ring_has_an_age_and_one_without_an_active_key_has_none():
    rings = [(KeyUse.TOKEN, "r8"), (KeyUse.SET, "r8"), (KeyUse.SET, "r9")]
    keys = [
        msgspec.structs.replace(generate_signing_key(use=use, region=region), since=NOON)
        for use, region in rings
    ]
    observe = ObservedKeys()
    observe(Keyring(keys=tuple(keys), root=b""), NOON + timedelta(minutes=1))
    assert [age_of(key) for key in keys] == [60, 60, 60]

    observe(Keyring(keys=tuple(keys[:2]), root=b""), NOON + timedelta(minutes=2))
    assert [age_of(key) for key in keys] == [120, 120, 0]
