"""draft-ietf-oauth-status-list-20, sections 4 and 5.1, and its own vectors."""

import json
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.crypto import digests
from stepup.crypto.status_list import (
    PackedStatuses,
    StatusListClaims,
    compressed,
    sign_status_list,
)
from tests.crypto.test_tokens import KEY
from tests.support import vectors

VECTORS = vectors.load("token-status-list")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BITS = pytest.mark.parametrize("bits", [1, 2, 4, 8])


@pytest.mark.parametrize("vector", VECTORS["small"], ids=lambda each: f"{each['bits']} bits")
def test_draft_4_1_packs_and_compresses_the_examples(vector):
    packed = PackedStatuses.of(vector["bits"], vector["statuses"])
    assert bytes(packed).hex() == vector["bytes_hex"]
    assert compressed(bytes(packed)) == vector["lst"]
    assert digests.decode(vector["lst"]).hex() == vector["compressed_hex"]


@pytest.mark.parametrize("vector", VECTORS["small"], ids=lambda each: f"{each['bits']} bits")
def test_draft_4_1_reads_the_examples(vector):
    read = PackedStatuses.read(vector["bits"], vector["lst"])
    assert [read[place] for place in range(len(read))] == vector["statuses"]


@pytest.mark.parametrize("vector", VECTORS["long"], ids=lambda each: f"{each['bits']} bits")
def test_draft_appendix_reads_and_writes_the_long_vectors(vector):
    named = {int(place): status for place, status in vector["nonzero_statuses"].items()}
    read = PackedStatuses.read(vector["bits"], vector["lst"])
    assert len(read) == vector["size"]
    assert {p: s for p in range(len(read)) if (s := read[p])} == {
        place: status for place, status in named.items() if status
    }
    packed = PackedStatuses(vector["bits"], vector["size"])
    for place, status in named.items():
        packed[place] = status
    # Compressors may differ; what comes out of them may not.
    again = zlib.decompress(digests.decode(compressed(bytes(packed))))
    assert again == bytes(packed) == bytes(read)


@BITS
@given(st.data())
def test_what_was_packed_is_read(bits, data):
    statuses = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=8, max_size=64))
    statuses = statuses[: len(statuses) // 8 * 8]
    read = PackedStatuses.read(bits, compressed(bytes(PackedStatuses.of(bits, statuses))))
    assert [read[place] for place in range(len(read))] == statuses


@BITS
def test_a_status_leaves_its_neighbours_alone(bits):
    packed = PackedStatuses.of(bits, [2**bits - 1] * 16)
    packed[5] = 0
    assert [packed[place] for place in range(16)] == [
        0 if place == 5 else 2**bits - 1 for place in range(16)
    ]


@pytest.mark.parametrize("bits", [0, 3, 16])
def test_draft_4_1_refuses_other_widths(bits):
    with pytest.raises(ValueError, match="1, 2, 4 or 8"):
        PackedStatuses(bits, 8)


def test_draft_4_refuses_a_last_byte_that_is_not_full():
    with pytest.raises(ValueError, match="whole bytes"):
        PackedStatuses(1, 9)


@pytest.mark.parametrize("place", [-1, 8, 2**20])
def test_a_place_that_there_is_not_is_refused(place):
    packed = PackedStatuses(2, 8)
    with pytest.raises(IndexError):
        packed[place]


@pytest.mark.parametrize("status", [-1, 4])
def test_a_status_with_more_bits_is_refused(status):
    with pytest.raises(ValueError, match="more bits"):
        PackedStatuses(2, 8)[0] = status


@pytest.mark.parametrize("lst", ["", "!", "AAAA"])
def test_what_is_no_list_is_not_read(lst):
    with pytest.raises(ValueError, match="not"):
        PackedStatuses.read(2, lst)


def test_draft_5_1_names_itself_its_times_and_its_statuses():
    claims = StatusListClaims(
        uri="https://stepup.example/status-lists/r1.1.x",
        aggregation_uri="https://stepup.example/status-lists",
        bits=2,
        issued_at=NOW,
        lifetime=timedelta(seconds=60),
        ttl=timedelta(seconds=3),
    )
    text = sign_status_list(claims, "eNo76fITAAPfAgc", KEY)
    assert json.loads(digests.decode(text.split(".")[0]))["typ"] == "statuslist+jwt"
    assert json.loads(digests.decode(text.split(".")[1])) == {
        "sub": "https://stepup.example/status-lists/r1.1.x",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 60,
        "ttl": 3,
        "status_list": {
            "bits": 2,
            "lst": "eNo76fITAAPfAgc",
            "aggregation_uri": "https://stepup.example/status-lists",
        },
    }


def test_draft_5_1_the_published_token_says_what_ours_says():
    raw: str = VECTORS["status_list_jwt_raw"]
    theirs = [json.loads(digests.decode(part)) for part in raw.split(".")[:2]]
    printed = [json.loads(part) for part in VECTORS["status_list_jwt_decoded"].split("\n.\n")]
    # The encoded example has an `iss` that the printed one lacks; nothing in the draft asks for it.
    theirs[1].pop("iss")
    assert theirs == printed

    said = theirs[1]
    claims = StatusListClaims(
        uri=said["sub"],
        aggregation_uri="https://example.com/statuslists",
        bits=said["status_list"]["bits"],
        issued_at=datetime.fromtimestamp(said["iat"], UTC),
        lifetime=timedelta(seconds=said["exp"] - said["iat"]),
        ttl=timedelta(seconds=said["ttl"]),
    )
    text = sign_status_list(claims, said["status_list"]["lst"], KEY)
    header, ours = (json.loads(digests.decode(part)) for part in text.split(".")[:2])
    assert ours["status_list"].pop("aggregation_uri") == "https://example.com/statuslists"
    assert ours == said
    assert header == theirs[0] | {"kid": KEY.id}


def test_draft_5_1_the_published_token_holds_the_statuses_of_the_first_example():
    said = json.loads(digests.decode(VECTORS["status_list_jwt_raw"].split(".")[1]))["status_list"]
    read = PackedStatuses.read(said["bits"], said["lst"])
    assert [read[place] for place in range(len(read))] == VECTORS["small"][0]["statuses"]
