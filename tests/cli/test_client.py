import json
import os
from base64 import b64encode

import pytest

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

SHOP = """\
- client_id: shop
  redirect_uris: [https://shop.example/back]
  roles: [pep, rp]
  audiences: [shop-api]
"""


@pytest.fixture
def apply(operate, tmp_path):
    path = tmp_path / "clients.yaml"

    def run(text: str, *arguments: str, **more: str):
        path.write_text(text)
        return operate("client", "apply", str(path), *arguments, **more)

    return run


def outcome(result):
    assert result.exit_code == 0, result.output
    return {each["client_id"]: each for each in json.loads(result.output)["clients"]}


def test_a_new_client_without_a_secret_gets_one_that_is_printed_once(apply):
    first = outcome(apply(SHOP, "--json"))["shop"]
    assert first["change"] == "created"
    assert len(first["client_secret"]) >= 43
    assert outcome(apply(SHOP, "--json"))["shop"] == {"client_id": "shop", "change": "unchanged"}


def test_a_known_client_keeps_its_secret_when_the_rest_changes(apply):
    apply(SHOP + "  client_secret: given-secret\n")
    changed = apply(SHOP.replace("shop-api", "other-api"))
    assert changed.output == "shop: changed\n"
    # The same text with the secret is what is registered: nothing of it has changed.
    again = apply(SHOP.replace("shop-api", "other-api") + "  client_secret: given-secret\n")
    assert again.output == "shop: unchanged\n"


def test_a_secret_may_lie_in_a_file_beside_the_list(apply, tmp_path):
    (tmp_path / "shop.secret").write_text("from-a-file\n")
    text = SHOP + "  client_secret_file: shop.secret\n"
    assert apply(text).output == "shop: created\n"
    assert apply(SHOP + "  client_secret: from-a-file\n").output == "shop: unchanged\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SHOP + "  client_secret_file: nowhere\n", "no such file"),
        (SHOP + "  client_secret_file: clients.yaml\n  client_secret: x\n", "contradict"),
        (SHOP + SHOP, "2 times"),
        (SHOP + "  secret: x\n", "unknown field"),
        ("- {client_id: ''}\n", "empty"),
    ],
)
def test_a_malformed_list_is_one_line_and_changes_nothing(apply, text, reason):
    refused = apply(text)
    assert refused.exit_code == 1
    assert reason in refused.output
    assert apply(SHOP, "--json").exit_code == 0


def test_doctor_says_that_the_keys_do_not_open(apply, operate):
    apply(SHOP)
    other = f"2:{b64encode(os.urandom(32)).decode()}"
    result = operate("doctor", "--json", STEPUP_KEY_ENCRYPTION_KEYS=other)
    assert result.exit_code == 3
    keys = next(each for each in json.loads(result.output) if each["name"] == "keys")
    assert "key 1" in keys["text"]


def test_other_keys_than_those_that_sealed_the_root_are_one_line(apply):
    apply(SHOP)
    other = f"2:{b64encode(os.urandom(32)).decode()}"
    refused = apply(SHOP, STEPUP_KEY_ENCRYPTION_KEYS=other)
    assert refused.exit_code == 1
    assert "STEPUP_KEY_ENCRYPTION_KEYS" in refused.output
