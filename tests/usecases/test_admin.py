"""Administrators: in development one token."""

import hashlib

import msgspec
import pytest

from stepup.domain.admin_errors import NotAuthorizedError
from stepup.domain.administrator import AdminAction
from stepup.domain.confirmation import Possession
from stepup.usecases import admin
from tests.support.world import World

READ = AdminAction.POLICY_READ
TOKEN = "an-administrators-token"


def with_token(world: World, digest: bytes | None):
    return world.ports._replace(site=msgspec.structs.replace(world.site, admin_token_digest=digest))


async def test_the_administrator_s_token_is_known(world: World):
    ports = with_token(world, hashlib.sha256(TOKEN.encode()).digest())

    await admin.authenticate(ports, TOKEN, READ)
    for wrong in ("", TOKEN + "x", "ü"):
        with pytest.raises(NotAuthorizedError):
            await admin.authenticate(ports, wrong, READ)


async def test_a_deployment_without_one_knows_nobody(world: World):
    for presented in ("", TOKEN, "None"):
        with pytest.raises(NotAuthorizedError):
            await admin.authenticate(with_token(world, None), presented, READ)


async def test_a_token_that_is_bound_to_no_key_is_no_dpop_token(world: World):
    ports = with_token(world, hashlib.sha256(TOKEN.encode()).digest())

    for possession in (Possession(jkt="key"), Possession(jkt="key", x5t_s256="certificate")):
        with pytest.raises(NotAuthorizedError):
            await admin.authenticate(ports, TOKEN, READ, possession)
    await admin.authenticate(ports, TOKEN, READ, Possession(x5t_s256="certificate"))
