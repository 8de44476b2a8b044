import click
import pytest

from stepup.cli.client_file import read_clients, with_secrets
from stepup.cli.dev_plan import demo_client
from stepup.domain.client import Role


def test_reads_clients_from_yaml_and_gives_them_secrets(tmp_path):
    path = tmp_path / "clients.yaml"
    path.write_text(
        "- client_id: shop\n"
        "  redirect_uris: [https://shop.example/back]\n"
        "  roles: [pep, rp, rs]\n"
        "- {client_id: desk, client_secret: given}\n"
    )
    shop, desk = with_secrets(read_clients(path), lambda client_id: f"made-for-{client_id}")
    assert shop.roles == (Role.PEP, Role.RP, Role.RS)
    assert (shop.client_secret, desk.client_secret) == ("made-for-shop", "given")


@pytest.mark.parametrize(
    "text", ["- {client_id: a, secret: typo}", "client_id: a", "- {roles: [king]}", "[", ""]
)
def test_a_malformed_file_of_clients_is_one_line(tmp_path, text):
    path = tmp_path / "clients.yaml"
    path.write_text(text)
    with pytest.raises(click.ClickException, match=r"clients\.yaml: ") as stopped:
        read_clients(path)
    assert "\n" not in str(stopped.value)


def test_the_demo_bank_redirects_to_itself_alone():
    assert demo_client("http://127.0.0.1:8002").redirect_uris == ("http://127.0.0.1:8002/callback",)
