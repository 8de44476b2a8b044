"""Provisioning: an administrator's work, and a migration's."""

from base64 import b32encode

import pytest

from stepup.domain.admin_errors import AdministratorProtectedError
from stepup.domain.administrator import DEVELOPER, Administrator, AdministratorKind, Scope
from stepup.domain.assurance import Method
from stepup.domain.audit import AuditKind
from stepup.domain.errors import (
    AuthenticatorExistsError,
    AuthenticatorNotFoundError,
    InvalidRequestError,
    NotSupportedYetError,
)
from stepup.domain.ids import AdministratorId, AuthenticatorId
from stepup.domain.revocation import Revoked
from stepup.usecases import administrators, introspect, provision
from tests.support.authenticator import SoftwareAuthenticator
from tests.support.world import TOTP_SECRET, World
from tests.usecases.steps import issued, last_audited, methods_of, opened, touch, type_code

SECRET = b32encode(TOTP_SECRET).decode()


async def test_a_provisioned_app_answers(world: World):
    enrolled = await provision.provision(
        world.ports, world.subject(), {"type": "totp", "secret": SECRET}
    )

    assert enrolled.name == "Authenticator app"
    await type_code(world, await opened(world))
    event = await last_audited(world.ports, AuditKind.AUTHENTICATOR_ENROLLED)
    assert event.details == {"authenticator": enrolled.id, "method": "totp", "by": "administrator"}
    assert SECRET not in str(event)


async def test_a_provisioned_passkey_answers(world: World):
    passkey = SoftwareAuthenticator(origin=world.site.origins[0])
    described = passkey.provisioning() | {"name": "YubiKey"}
    enrolled = await provision.provision(world.ports, world.subject(), described)

    assert enrolled.name == "YubiKey"
    await touch(world, await opened(world, "5000.00"), passkey)


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"type": "totp"},
        {"type": "totp", "secret": ""},
        {"type": "totp", "secret": "not base32!"},
        {"type": "totp", "secret": "GEZDGNBV"},
        {"type": "totp", "secret": "A" * 4000},
        {"type": "totp", "secret": 7},
        {"type": "totp", "secret": SECRET, "algorithm": "MD5"},
        {"type": "totp", "secret": SECRET, "digits": 4},
        {"type": "totp", "secret": SECRET, "period": 0},
        {"type": "totp", "secret": SECRET, "surprise": 1},
        {"type": "totp", "secret": SECRET, "name": "x" * 65},
        {"type": "totp", "secret": SECRET, "name": "a\0b"},
        {"type": "webauthn"},
        {"type": "webauthn", "credential_id": "AAAA", "public_key": "AAAA"},
        {"type": "email"},
        {"type": None},
    ],
)
async def test_a_bad_description_is_refused(world: World, described: dict):
    with pytest.raises(InvalidRequestError):
        await provision.provision(world.ports, world.subject(), described)

    assert await methods_of(world) == []


async def test_what_is_not_built_says_so(world: World):
    described = {"type": "hotp", "secret": SECRET, "digits": 6, "counter": 0}

    with pytest.raises(NotSupportedYetError):
        await provision.provision(world.ports, world.subject(), described)


async def test_a_credential_belongs_to_one_subject(world: World):
    passkey = SoftwareAuthenticator(origin=world.site.origins[0])
    await provision.provision(world.ports, world.subject(), passkey.provisioning())

    for sub in ("alice", "bob"):
        with pytest.raises(AuthenticatorExistsError):
            await provision.provision(world.ports, world.subject(sub), passkey.provisioning())
    assert await methods_of(world, "bob") == []


async def test_a_removed_authenticator_is_gone_and_audited(world: World):
    app = await world.enroll_app()
    await provision.remove(world.ports, world.subject(), app.id)

    assert await provision.list_authenticators(world.ports, world.subject()) == []
    event = await last_audited(world.ports, AuditKind.AUTHENTICATOR_REVOKED)
    assert event.details == {
        "authenticator": app.id,
        "by": "administrator",
        "method": "totp",
        "credential_type": "app",
    }


async def test_what_a_removed_authenticator_gave_has_ended(world: World):
    app = await world.enroll_app()
    token = (await issued(world)).text
    await provision.remove(world.ports, world.subject(), app.id)

    assert await introspect.introspect(world.ports, world.bank, token) is None
    [row] = world.ports.database.tables.revocations
    assert (row.what, row.value) == (Revoked.AUTHENTICATOR, f"{world.subject().id}/{app.id}")


async def test_what_another_authenticator_gave_goes_on(world: World):
    await world.enroll_app()
    token = (await issued(world)).text
    passkey = SoftwareAuthenticator(origin=world.site.origins[0])
    other = await provision.provision(world.ports, world.subject(), passkey.provisioning())
    await provision.remove(world.ports, world.subject(), other.id)

    assert await introspect.introspect(world.ports, world.bank, token)


async def test_somebody_else_s_authenticator_is_not_removed(world: World):
    app = await world.enroll_app()

    for subject, authenticator_id in (
        (world.subject("bob"), app.id),
        (world.subject(), AuthenticatorId("made-up")),
    ):
        with pytest.raises(AuthenticatorNotFoundError):
            await provision.remove(world.ports, subject, authenticator_id)
    assert await methods_of(world) == [Method.TOTP]


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("Passkey", [], "Passkey"),
        ("Passkey", ["Passkey"], "Passkey (2)"),
        ("Passkey", ["Passkey", "Passkey (2)"], "Passkey (3)"),
        ("Passkey", ["Passkey", "Passkey (3)"], "Passkey (2)"),
    ],
)
def test_names_are_numbered_like_people_number_them(name: str, taken: list[str], expected: str):
    assert provision.numbered(name, taken) == expected


MALLORY = Administrator(id=AdministratorId("person:mallory"), name="mallory", scopes=frozenset())
PIPELINE = Administrator(
    id=AdministratorId("key:ci"), name="ci", kind=AdministratorKind.KEY, scopes=frozenset()
)


@pytest.mark.parametrize("by", [MALLORY, PIPELINE])
async def test_nobody_gives_another_administrator_a_passkey_to_approve_in_his_name(
    world: World, by: Administrator
):
    await administrators.appoint(
        world.ports, world.subject("bob"), [Scope.POLICY_APPROVE], "host:root"
    )
    passkey = SoftwareAuthenticator(origin=world.site.origins[0])
    with pytest.raises(AdministratorProtectedError):
        await provision.provision(world.ports, world.subject("bob"), passkey.provisioning(), by)
    assert await methods_of(world, "bob") == []


@pytest.mark.parametrize("by", [MALLORY, PIPELINE, DEVELOPER])
async def test_the_log_says_which_administrator_enrolled_and_removed(
    world: World, by: Administrator
):
    described = {"type": "totp", "secret": SECRET}
    app = await provision.provision(world.ports, world.subject(), described, by)
    event = await last_audited(world.ports, AuditKind.AUTHENTICATOR_ENROLLED)
    assert event.details["by"] == by.id
    await provision.remove(world.ports, world.subject(), app.id, by)
    event = await last_audited(world.ports, AuditKind.AUTHENTICATOR_REVOKED)
    assert event.details["by"] == by.id
