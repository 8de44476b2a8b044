"""Credentials that come from another system instead of a ceremony."""

from collections.abc import Mapping
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from stepup.ceremonies import cose, responses
from stepup.domain.authenticator import WebAuthnCredential
from stepup.domain.errors import InvalidRequestError, VerificationFailedError

_NO_AAGUID = UUID(int=0)


class _Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The provisioning form of a WebAuthn credential."""

    credential_id: Annotated[str, msgspec.Meta(min_length=1, max_length=1364)]
    public_key: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    type: Literal["webauthn"] = "webauthn"
    name: str | None = None
    sign_count: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] = 0
    transports: responses.Transports = ()
    backup_eligible: bool = False
    backed_up: bool = False
    aaguid: UUID = _NO_AAGUID
    # 64 bytes at most (WebAuthn Level 3 section 5.4.3).
    user_handle: Annotated[str, msgspec.Meta(min_length=1, max_length=86)] | None = None


def read_credential(described: Mapping[str, object]) -> WebAuthnCredential:
    """Read a credential that another system registered; its word proves no attestation.

    Raises:
        InvalidRequestError: If a member is missing, unknown, malformed or contradicts another, or
            the key is unsupported.
    """
    try:
        description = msgspec.convert(dict(described), _Description)
        credential_id = responses.decode(description.credential_id)
        public_key = responses.decode(description.public_key)
        user_handle = responses.decode(description.user_handle or "")
        cose.check_public_key(public_key)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"The authenticator is malformed: {error}") from None
    except VerificationFailedError:
        raise InvalidRequestError("A binary member is not base64url.") from None
    except cose.UnsupportedKeyError as error:
        raise InvalidRequestError(f"The public key cannot be used: {error}.") from None
    if description.backed_up and not description.backup_eligible:
        # WebAuthn Level 3 section 6.1.3: no authenticator can say that.
        raise InvalidRequestError("backed_up needs backup_eligible.")
    return WebAuthnCredential(
        credential_id=credential_id,
        public_key=public_key,
        sign_count=description.sign_count,
        transports=responses.known_transports(description.transports),
        backup_eligible=description.backup_eligible,
        backed_up=description.backed_up,
        aaguid=str(description.aaguid),
        user_handle=user_handle or None,
    )
