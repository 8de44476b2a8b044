"""Key-encryption keys from everywhere they may lie, also from a real PKCS#11 token."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest
from click.testing import CliRunner, Result

from stepup import wiring
from stepup.adapters.keywrap.pkcs11 import Pkcs11Keys, Token
from stepup.adapters.keywrap.plain import PlainKeys, read_private_file
from stepup.cli.main import stepup
from stepup.config_reading import load
from stepup.ports.key_wrapping import KeyWrapError
from tests.contracts.key_wrapping import KEY, HidingContract, KeyWrappingContract
from tests.support.softhsm import KEY as WRAPPING_KEY
from tests.support.softhsm import LABEL, PIN, SoftToken, make_token

OTHER = bytes(32)
GIVEN = {
    "STEPUP_ISSUER": "https://stepup.example",
    "STEPUP_POSTGRES_URL": "postgresql://stepup:pw@db/stepup",
    "STEPUP_REDIS_URL": "redis://redis:6379/0",
    "STEPUP_UPSTREAMS": '[{"issuer": "https://id.example", "audience": "stepup"}]',
}


# The library reads where its tokens are once per process.
@pytest.fixture(scope="module")
def soft_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    token = make_token(tmp_path_factory.mktemp("softhsm"))
    with pytest.MonkeyPatch.context() as patched:
        for name, value in token.environment.items():
            patched.setenv(name, value)
        Pkcs11Keys(Token(token.module, LABEL, WRAPPING_KEY, PIN)).create_key()
        yield token


@pytest.fixture
def token(soft_token: SoftToken) -> Token:
    return Token(soft_token.module, LABEL, WRAPPING_KEY, PIN)


class TestKeysInTheEnvironment(KeyWrappingContract):
    @pytest.fixture
    def wrapping(self) -> PlainKeys:
        return PlainKeys("settings")


class TestKeysInAFile(KeyWrappingContract):
    @pytest.fixture
    def wrapping(self) -> PlainKeys:
        return PlainKeys("file")


class TestKeysInAToken(HidingContract):
    @pytest.fixture
    def wrapping(self, token: Token) -> Pkcs11Keys:
        return Pkcs11Keys(token)


def a_file(folder: Path, mode: int = 0o400) -> Path:
    path = folder / "keys"
    lines = [f"{number}:{base64.b64encode(key).decode()}" for number, key in ((1, KEY), (2, OTHER))]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
def test_a_file_that_nobody_else_reads_is_read(tmp_path: Path, mode: int):
    path = a_file(tmp_path, mode)
    environ = {
        **GIVEN,
        "STEPUP_KEY_ENCRYPTION_SOURCE": "file",
        "STEPUP_KEY_ENCRYPTION_FILE": str(path),
        "STEPUP_KEY_ENCRYPTION_ACTIVE": "1",
    }
    settings = wiring.with_keys(load(environ))

    assert settings.key_encryption_ring == {1: KEY, 2: OTHER}
    assert wiring.with_keys(settings) is settings


@pytest.mark.parametrize("mode", [0o404, 0o444, 0o420, 0o602, 0o644, 0o660])
def test_a_file_that_others_read_or_change_is_refused(tmp_path: Path, mode: int):
    path = a_file(tmp_path, mode)
    with pytest.raises(KeyWrapError, match=f"others may read or change it .{mode:04o}."):
        read_private_file(path)


def test_a_file_that_is_not_there_or_no_text_is_one_line(tmp_path: Path):
    with pytest.raises(KeyWrapError, match="no such file"):
        read_private_file(tmp_path / "none")
    path = tmp_path / "bytes"
    path.write_bytes(b"\xff\xfe")
    path.chmod(0o400)
    with pytest.raises(KeyWrapError, match="not text"):
        read_private_file(path)


def test_a_sealing_key_that_the_file_lacks_is_refused(tmp_path: Path):
    environ = {
        **GIVEN,
        "STEPUP_KEY_ENCRYPTION_SOURCE": "file",
        "STEPUP_KEY_ENCRYPTION_FILE": str(a_file(tmp_path)),
        "STEPUP_KEY_ENCRYPTION_ACTIVE": "3",
    }
    with pytest.raises(KeyWrapError, match="key 3 is not among"):
        wiring.with_keys(load(environ))


def of_token(token: Token, folder: Path, entries: str, **changes: str) -> dict[str, str]:
    pin = folder / "pin"
    pin.write_text(f"{changes.pop('pin', PIN)}\n")
    return {
        **GIVEN,
        "STEPUP_KEY_ENCRYPTION_SOURCE": "pkcs11",
        "STEPUP_KEY_ENCRYPTION_KEYS": entries,
        "STEPUP_PKCS11_MODULE": token.module,
        "STEPUP_PKCS11_TOKEN": token.label,
        "STEPUP_PKCS11_KEY": token.key,
        "STEPUP_PKCS11_PIN_FILE": str(pin),
        **changes,
    }


def test_wrapped_keys_are_unwrapped_once_and_the_pin_goes_no_further(token: Token, tmp_path: Path):
    wrapping = Pkcs11Keys(token)
    entries = f"1:{wrapping.wrap(1, KEY)},2:{wrapping.wrap(2, OTHER)}"
    settings = load(of_token(token, tmp_path, entries))
    assert PIN not in f"{settings!r} {token!r}"

    unwrapped = wiring.with_keys(settings)

    assert unwrapped.key_encryption_ring == {1: KEY, 2: OTHER}
    assert unwrapped.pkcs11_pin is None
    # Whoever serves has these, and asks the token for nothing any more.
    assert wiring.with_keys(unwrapped) is unwrapped


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pin": "0000000000"}, "PinIncorrect"),
        ({"STEPUP_PKCS11_TOKEN": "other"}, "NoSuchToken"),
        ({"STEPUP_PKCS11_KEY": "other"}, "no AES key other"),
        ({"STEPUP_PKCS11_MODULE": "/nowhere.so"}, "refused"),
    ],
    ids=["another PIN", "another token", "another key", "no library"],
)
def test_a_token_that_is_away_or_another_one_stops_the_start_in_one_line(
    token: Token, tmp_path: Path, changes: dict[str, str], said: str
):
    entries = f"1:{Pkcs11Keys(token).wrap(1, KEY)}"
    settings = load(of_token(token, tmp_path, entries, **changes))

    with pytest.raises(KeyWrapError, match=said) as refused:
        wiring.with_keys(settings)

    message = str(refused.value)
    assert len(message.splitlines()) == 1
    assert PIN not in message


def test_the_wrapping_key_cannot_be_read_out_and_is_made_once(token: Token):
    library = pkcs11.lib(token.module)
    with library.get_token(token_label=LABEL).open(user_pin=PIN) as session:
        key = session.get_key(label=WRAPPING_KEY)
        with pytest.raises(pkcs11.PKCS11Error):
            _ = key[pkcs11.Attribute.VALUE]
    with pytest.raises(KeyWrapError, match="already"):
        Pkcs11Keys(token).create_key()


def test_a_key_is_wrapped_at_the_command_line(token: Token, tmp_path: Path, wrap):
    environ = of_token(token, tmp_path, "")
    only = {name: value for name, value in environ.items() if "PKCS11" in name}
    made = wrap("--number", "5", environ=only)
    assert made.exit_code == 0, made.output
    [(number, entry)] = [each.split(":") for each in made.stdout.strip().split(",")]
    assert len(Pkcs11Keys(token).unwrap(int(number), entry)) == 32

    kept = wrap("--from", str(a_file(tmp_path)), environ=only)
    settings = wiring.with_keys(
        load({**environ, "STEPUP_KEY_ENCRYPTION_KEYS": kept.stdout.strip()})
    )
    assert settings.key_encryption_ring == {1: KEY, 2: OTHER}


def test_a_wrapping_that_fails_says_so_without_the_pin(token: Token, tmp_path: Path, wrap):
    environ = of_token(token, tmp_path, "", STEPUP_PKCS11_TOKEN="other")
    only = {name: value for name, value in environ.items() if "PKCS11" in name}
    for failed in (wrap(environ=only), wrap(environ={}), wrap("--create", environ=only)):
        assert failed.exit_code == 1
        assert "token" in failed.stderr
        assert PIN not in failed.output


@pytest.fixture
def wrap():
    def run(*arguments: str, environ: dict[str, str]) -> Result:
        done = CliRunner().invoke(
            stepup, ["keys", "wrap", *arguments], env={**os.environ, **environ}
        )
        assert "Traceback" not in done.output
        return done

    return run
