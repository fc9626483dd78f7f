"""The certificate that Envoy shows, looked at before anything is started.

Whether a caller trusts it isn't known here.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.launch.child import CannotStart


@dataclass(frozen=True)
class Certificate:
    """A chain of certificates and the key of the first, both in PEM."""

    chain: Path
    key: Path

    def check(self) -> None:
        """Raises CannotStart for files that can't be used together."""
        _check_pem("--tls-cert", self.chain, "CERTIFICATE-----")
        _check_pem("--tls-key", self.key, " PRIVATE KEY-----")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.chain, self.key, password="")
        except ssl.SSLError as error:
            what = (
                f"{self.key} is not the key of {self.chain}"
                if error.reason == "KEY_VALUES_MISMATCH"
                else f"{self.chain} or {self.key} is damaged, or has a password"
            )
            raise CannotStart(f"--tls-key: {what}") from None

    def transport_socket(self) -> dict[str, Any]:
        """What in Envoy's configuration makes a listener speak TLS with it."""
        pair = {
            "certificate_chain": {"filename": str(self.chain.resolve())},
            "private_key": {"filename": str(self.key.resolve())},
        }
        return {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/"
                "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                    "alpn_protocols": ["h2", "http/1.1"],
                    "tls_certificates": [pair],
                },
            },
        }


def _check_pem(flag: str, file: Path, label: str) -> None:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CannotStart(f"{flag}: can't read {file} ({error.strerror})") from None
    if label.encode() not in content:
        raise CannotStart(f"{flag}: {file} has no {label.strip(' -').lower()} in PEM")
