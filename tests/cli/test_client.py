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


# --- one client at a time -------------------------------------------------------------------

DESK = """\
client_id: desk
client_name: The desk
redirect_uris: [https://desk.example/back]
roles: [rp]
"""


@pytest.fixture
def add(operate, tmp_path):
    path = tmp_path / "desk.yaml"

    def run(text: str = DESK, *arguments: str):
        path.write_text(text)
        return operate("client", "add", str(path), *arguments)

    return run


def test_one_client_is_added_shown_and_listed(add, operate):
    added = json.loads(add(DESK, "--json").output)
    assert len(added["client_secret"]) >= 43
    shown = json.loads(operate("client", "show", "desk", "--json").output)
    assert shown == {name: value for name, value in added.items() if name != "client_secret"}
    assert "client_name: The desk" in operate("client", "show", "desk").output
    assert operate("client", "list").output == "desk  rp  client_secret  in service\n"
    assert [each["client_id"] for each in json.loads(operate("client", "list", "--json").output)]
    again = add()
    assert (again.exit_code, "There is a client" in again.output) == (1, True)


def test_a_client_that_need_not_push_is_shown_so(add, operate):
    add(DESK + "require_pushed_authorization_requests: false\n")
    shown = operate("client", "show", "desk").output
    assert "require_pushed_authorization_requests: false" in shown
    assert "asserts_subject" not in shown


def test_a_secret_goes_to_a_file_and_to_no_terminal(add, tmp_path):
    target = tmp_path / "secret"
    added = add(DESK, "--to", str(target))
    secret = target.read_text().strip()
    assert len(secret) >= 43
    assert secret not in added.output
    assert target.stat().st_mode & 0o777 == 0o600
    # A file that is there is nobody's to overwrite, and a refused client leaves none.
    assert add(DESK, "--to", str(target)).exit_code == 1
    assert add(DESK, "--to", str(tmp_path / "other")).exit_code == 1
    assert not (tmp_path / "other").exists()


def test_a_secret_is_rotated_with_an_end_of_the_old_one(add, operate):
    first = json.loads(add(DESK, "--json").output)["client_secret"]
    rotated = json.loads(operate("client", "rotate", "desk", "--overlap", "1h", "--json").output)
    assert rotated["client_secret"] != first
    assert len(rotated["secrets_ending"]) == 1
    assert "an older secret ends" in operate("client", "rotate", "desk").output
    now = json.loads(operate("client", "rotate", "desk", "--overlap", "0s", "--json").output)
    assert now["secrets_ending"] == []


def test_a_client_is_taken_out_of_service_and_put_back(add, operate, apply):
    add()
    assert operate("client", "disable", "desk").output == "desk: out of service\n"
    assert operate("client", "list").output.endswith("out of service\n")
    # What a file says of a client says nothing about that.
    apply("- " + DESK.replace("\n", "\n  ").rstrip() + "\n  audiences: [x]\n")
    assert operate("client", "list").output.endswith("out of service\n")
    assert json.loads(operate("client", "enable", "desk", "--json").output)["disabled"] is False


@pytest.mark.parametrize("command", ["show", "rotate", "disable", "enable"])
def test_an_unknown_client_is_one_line(operate, command):
    refused = operate("client", command, "nobody")
    assert (refused.exit_code, "There is no such client." in refused.output) == (1, True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (DESK + "client_secret: x\n", "is made here"),
        (DESK + "token_endpoint_auth_method: private_key_jwt\n", "jwks or jwks_uri"),
        (DESK + "token_endpoint_auth_method: guessing\n", "guessing"),
        (DESK + "profile: fapi2\n", "FAPI 2.0 wants a key"),
        (DESK.replace("https://desk", "http://desk"), "must use https"),
        ("- x", "desk.yaml"),
    ],
    ids=lambda text: text[-40:],
)
def test_what_cannot_work_is_one_line(add, text, reason):
    refused = add(text)
    assert refused.exit_code == 1
    assert "Traceback" not in refused.output
    assert reason in refused.output


def test_a_list_with_one_that_cannot_work_registers_none(apply, operate):
    refused = apply(SHOP + "- {client_id: odd, profile: fapi2}\n")
    assert (refused.exit_code, "client odd: " in refused.output) == (1, True)
    assert operate("client", "list").output == ""
    idle = SHOP + "  token_endpoint_auth_method: none\n  client_secret: x\n"
    assert "no use for it" in apply(idle).output


def test_a_public_client_has_no_secret(apply):
    text = SHOP.replace("[pep, rp]", "[rp]") + "  token_endpoint_auth_method: none\n"
    assert outcome(apply(text, "--json"))["shop"] == {"client_id": "shop", "change": "created"}
    assert apply(text).output == "shop: unchanged\n"
