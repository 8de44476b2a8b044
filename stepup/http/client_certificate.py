"""The certificate of a client, which a proxy in front of us saw in the TLS handshake.

A proxy that ends TLS writes it into a header. Anybody can write a header, so it is believed from
the configured proxies alone, and looked at nowhere else: `CertificatesFromProxies` takes it out of
the request before the application sees one.
"""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from stepup.domain.client_certificate import ClientCertificate
from stepup.domain.errors import InvalidRequestError
from stepup.usecases.client_certificates import read_certificate

_EXTENSION = "stepup.client_certificate"


class CertificatesFromProxies:
    """Moves the header where nobody but a proxy can put anything.

    It stands outside of whatever rewrites the address of the caller: what counts is who is
    connected, not whom he speaks for.
    """

    def __init__(self, app: ASGIApp, header: str, proxies: Iterable[str]) -> None:
        self._app = app
        self._name = header.lower().encode("ascii")
        self._proxies = tuple(map(ip_network, proxies))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == ScopeType.HTTP:
            kept: list[tuple[bytes, bytes]] = []
            sent: list[tuple[bytes, bytes]] = []
            for pair in scope["headers"]:
                (sent if pair[0] == self._name else kept).append(pair)
            scope["headers"] = kept
            if sent and self._is_proxy(scope["client"]):
                found: Any = [value for _, value in sent]
                scope["extensions"] = {**(scope.get("extensions") or {}), _EXTENSION: found}
        await self._app(scope, receive, send)

    def _is_proxy(self, client: tuple[str, int] | None) -> bool:
        if client is None:
            return False
        try:
            address = ip_address(client[0])
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


def certificate_of(request: Request[Any, Any, Any]) -> ClientCertificate | None:
    """Return the certificate of the client at the other end of TLS, None if it showed none.

    Raises:
        InvalidRequestError: If the proxy wrote what cannot be read.
    """
    extensions: Any = request.scope.get("extensions") or {}
    sent: list[bytes] | None = extensions.get(_EXTENSION)
    # nginx writes an empty header for a client without a certificate.
    if not sent or sent == [b""]:
        return None
    # A proxy that adds its header to the client's own tells two stories.
    if len(sent) > 1:
        raise InvalidRequestError("There is more than one client certificate.")
    try:
        return read_certificate(sent[0])
    except ValueError:
        raise InvalidRequestError("The client certificate cannot be read.") from None
