"""An identity provider of the tests' own: keys made anew, and a real HTTP server for the set."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://login.example", "kintsugi"


class Provider:
    """Serves the public halves of `keys` at `url`; `asked` counts who came for them."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {
            "rsa": new_rsa(),
            "ec": ec.generate_private_key(ec.SECP256R1()),
        }
        self.asked = 0
        self.answers: bytes | None = None
        self.answering = threading.Event()
        self.answering.set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/keys"

    def close(self) -> None:
        self.answering.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def settings(self, **others: str) -> dict[str, str]:
        """Those of a server that takes its tokens."""
        return {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks": self.url} | others

    @property
    def env(self) -> dict[str, str]:
        return {f"KINTSUGI_{name.upper()}": value for name, value in self.settings().items()}

    def key_set(self) -> bytes:
        return json.dumps({"keys": [_public(id, key) for id, key in self.keys.items()]}).encode()

    def token(
        self, user: str = "ada", kid: str = "rsa", *, lasting: int = 60, **claims: Any
    ) -> str:
        """One for a user; a claim that is None is left out."""
        key = self.keys[kid]
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        return jwt.encode(fields(user, lasting, **claims), key, algorithm, headers={"kid": kid})


def fields(user: str = "ada", lasting: int = 60, **claims: Any) -> dict[str, Any]:
    """What a good token says, or isn't good for."""
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": user, "iat": now, "exp": now + lasting}
    return {name: value for name, value in (usual | claims).items() if value is not None}


def new_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public(id: str, key: Any) -> dict[str, Any]:
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return kind.to_jwk(key.public_key(), as_dict=True) | {"kid": id, "use": "sig"}


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked += 1
            provider.answering.wait(30)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(provider.key_set() if provider.answers is None else provider.answers)

        def log_message(self, *arguments: Any) -> None:
            """Not in the tests' output."""

    return Handler
