"""Proofs of possession in requests: DPoP (RFC 9449) and client certificates (RFC 8705 section 3).

The authorization server's endpoints take the dependency `proof`: the key that what they issue is
bound to. What takes a token of ours takes `shown_token`: the token, and the keys that whoever
shows it has proved to hold.
"""

from typing import Any, NamedTuple

from litestar import Request
from litestar.di import NamedDependency

from stepup.domain.admin_errors import NotAuthorizedError, TokenRefusedError
from stepup.domain.authorization_errors import InvalidDpopProofError, UseDpopNonceError
from stepup.domain.client import Client
from stepup.domain.confirmation import NOTHING_PROVED, Confirmation, Possession
from stepup.domain.proof_errors import ProofRefusedError, TokenNonceNeededError
from stepup.http.caller import authorization_header
from stepup.http.client_certificate import certificate_of
from stepup.http.dpop_nonces import offer_nonce
from stepup.http.headers import headers
from stepup.ports import Ports
from stepup.usecases import proofs

AnyRequest = Request[Any, Any, Any]


class ShownToken(NamedTuple):
    """A token as it came, and what came with it."""

    text: str
    possession: Possession = NOTHING_PROVED


async def provide_proof(
    request: AnyRequest,
    ports: NamedDependency[Ports],
    form_caller: NamedDependency[Client],
) -> Confirmation | None:
    """Return the key that what this client is given is bound to; None when it proves none.

    A DPoP proof, if it brings one; else its certificate, if it is a client whose tokens are bound
    to that, or that authenticates with it.

    Raises:
        InvalidDpopProofError: If it does not hold, or there are two.
        UseDpopNonceError: If it needs a nonce.
    """
    # After the caller, so that nobody unknown makes us remember proofs.
    text = dpop_proof(request)
    if text is not None:
        return Confirmation(jkt=await _accepted(request, ports, text))
    certificate = certificate_of(request) if form_caller.uses_certificate else None
    return None if certificate is None else Confirmation(x5t_s256=certificate.thumbprint)


async def provide_shown_token(request: AnyRequest, ports: NamedDependency[Ports]) -> ShownToken:
    """Read the token from the header, never from a query or a form, and accept its proof.

    Whether the token is bound to what was proved is asked by whoever reads the token.

    Raises:
        NotAuthorizedError: If there is none.
        TokenRefusedError: If it is shown as a DPoP token, and is no token of ours.
        ProofRefusedError: If it is shown as a DPoP token without a proof that holds.
        TokenNonceNeededError: If the proof needs a nonce.
    """
    scheme, _, token = authorization_header(request, NotAuthorizedError).partition(b" ")
    text = token.strip().decode("latin-1")
    if not text or scheme.lower() not in {b"bearer", b"dpop"}:
        raise NotAuthorizedError
    if scheme.lower() == b"bearer":
        certificate = certificate_of(request)
        thumbprint = None if certificate is None else certificate.thumbprint
        return ShownToken(text, Possession(x5t_s256=thumbprint))
    return ShownToken(text, Possession(jkt=await _proved(request, ports, text)))


def dpop_proof(request: AnyRequest) -> str | None:
    """Return the request's proof, None when it brings none.

    Raises:
        InvalidDpopProofError: If it brings more than one (check 1 of RFC 9449 section 4.3).
    """
    sent = headers(request.scope, b"dpop")
    if len(sent) > 1:
        raise InvalidDpopProofError("There is more than one DPoP proof.")
    return sent[0].decode("latin-1") if sent else None


async def _proved(request: AnyRequest, ports: Ports, token: str) -> str:
    try:
        text = dpop_proof(request)
        if text is None:
            raise TokenRefusedError("A DPoP token needs a DPoP proof.")
        proofs.check_token(ports, token)
        return await _accepted(request, ports, text, access_token=token)
    except InvalidDpopProofError as error:
        raise ProofRefusedError(error.detail) from None
    except UseDpopNonceError as error:
        raise TokenNonceNeededError(error.nonce) from None


async def _accepted(
    request: AnyRequest, ports: Ports, text: str, *, access_token: str | None = None
) -> str:
    # Where the issuer says that we are, not where a proxy found us.
    path = (request.scope.get("raw_path") or b"").partition(b"?")[0].decode("latin-1")
    proven = await proofs.accept(
        ports,
        text,
        method=request.method,
        url=ports.site.url(path or request.scope["path"]),
        access_token=access_token,
    )
    if proven.next_nonce is not None:
        offer_nonce(request.scope, proven.next_nonce)
    return proven.jkt
