"""A small identity provider on a real socket: signs what it is told to, fails as it is told to."""

import json
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.determinism import NOON


class IdentityProvider:
    """Answers discovery, keys and tokens; `requests` counts them by path."""

    def __init__(self) -> None:
        self.requests: dict[str, int] = {}
        self.forms: list[dict[str, str]] = []
        self.authorizations: list[str | None] = []
        self.keys: dict[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = {}
        self.status = 200
        self.body: bytes | None = None
        self.drip_seconds = 0.0
        self.location: str | None = None
        self.changes: dict[str, object] = {}
        self.token_status = 200
        self.token_answer: dict[str, object] = {}
        self.add_key("key-1")
        self._server = _Server(self)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; a connection is refused from now on."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def add_key(self, kid: str) -> None:
        self.keys[kid] = ec.generate_private_key(ec.SECP256R1())

    def token(self, kid: str = "key-1", *, headers: dict | None = None, **changes: object) -> str:
        """Sign a subject token; a claim set to None is left out."""
        key = self.keys[kid]
        algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
        return jwt.encode(
            self.claims(**changes), key, algorithm, headers={"kid": kid, **(headers or {})}
        )

    def claims(self, **changes: object) -> dict[str, object]:
        claims = {
            "iss": self.issuer,
            "sub": "alice",
            "aud": "bank",
            "iat": int(NOON.timestamp()),
            "exp": int((NOON + timedelta(minutes=5)).timestamp()),
            "auth_time": int((NOON - timedelta(minutes=1)).timestamp()),
            "acr": "urn:example:password",
            "name": "Alice",
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def answer_to(self, path: str) -> dict[str, object]:
        match path:
            case "/.well-known/openid-configuration":
                document = {
                    "issuer": self.issuer,
                    "jwks_uri": f"{self.issuer}/jwks",
                    "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
                    "token_endpoint": f"{self.issuer}/token",
                }
                return document | self.changes
            case "/jwks":
                return {"keys": [self._jwk(kid) for kid in self.keys]}
            case _:
                return self.token_answer

    def _jwk(self, kid: str) -> dict[str, object]:
        key = self.keys[kid].public_key()
        kind = (
            jwt.algorithms.ECAlgorithm
            if isinstance(key, ec.EllipticCurvePublicKey)
            else jwt.algorithms.RSAAlgorithm
        )
        return {**kind.to_jwk(key, as_dict=True), "kid": kid, "use": "sig"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, provider: IdentityProvider) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.provider = provider


class _Handler(BaseHTTPRequestHandler):
    @property
    def provider(self) -> IdentityProvider:
        return self.server.provider

    def do_GET(self) -> None:
        self._answer(self.provider.status)

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        self.provider.forms.append({name: values[0] for name, values in form.items()})
        self.provider.authorizations.append(self.headers["authorization"])
        self._answer(self.provider.token_status)

    def _answer(self, status: int) -> None:
        path = urlsplit(self.path).path
        self.provider.requests[path] = self.provider.requests.get(path, 0) + 1
        body = self.provider.body
        if body is None:
            body = json.dumps(self.provider.answer_to(path)).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if self.provider.location is not None:
            self.send_header("location", self.provider.location)
        self.end_headers()
        self._write(body)

    def _write(self, body: bytes) -> None:
        try:
            for byte in body if self.provider.drip_seconds else ():
                time.sleep(self.provider.drip_seconds)
                self.wfile.write(bytes([byte]))
            if not self.provider.drip_seconds:
                self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""
