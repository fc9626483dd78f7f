"""The certificate that Envoy shows, looked at before anything is started, and when it is renewed.

Whether a caller trusts it isn't known here.
"""

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.launch.child import CannotStart

_NAME = "certificate"
_TYPES = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"


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

    def offer(self, directory: Path) -> None:
        """Has Envoy read a copy, for the first time or again: it looks at what is moved in there.

        As long as no other is offered, it shows that one, whatever becomes of the files.
        """
        pair = {
            "certificate_chain": {"inline_string": self.chain.read_text()},
            "private_key": {"inline_string": self.key.read_text()},
        }
        secret = {"@type": f"{_TYPES}.Secret", "name": _NAME, "tls_certificate": pair}
        written = directory / f"{_NAME}.new"
        written.touch(mode=0o600)
        written.write_text(json.dumps({"resources": [secret]}))
        written.replace(_offered(directory))

    def transport_socket(self, directory: Path) -> dict[str, Any]:
        """What in Envoy's configuration makes a listener speak TLS with what is offered there."""
        source = {
            "path_config_source": {"path": str(_offered(directory))},
            "resource_api_version": "V3",
        }
        return {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": f"{_TYPES}.DownstreamTlsContext",
                "common_tls_context": {
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                    "alpn_protocols": ["h2", "http/1.1"],
                    "tls_certificate_sds_secret_configs": [{"name": _NAME, "sds_config": source}],
                },
            },
        }


class Renewal:
    """Notices that a certificate was renewed, however its files are replaced."""

    def __init__(self, certificate: Certificate, directory: Path) -> None:
        self._certificate = certificate
        self._directory = directory
        self._seen = self._taken = self._stamps()

    def tend(self) -> str | None:
        """Looks once; gives what happened, for people, if something did.

        Files are taken when both have been as they are for two looks.
        """
        earlier, self._seen = self._seen, self._stamps()
        if self._seen in (self._taken, ()) or self._seen != earlier:
            return None
        self._taken = self._seen
        try:
            self._certificate.check()
            self._certificate.offer(self._directory)
        except (CannotStart, OSError) as problem:
            return f"the certificate stays what it was: {problem}"
        return "the renewed certificate is shown from now on"

    def _stamps(self) -> tuple[tuple[int, int, int], ...]:
        """What differs of files that aren't the same; nothing while one is missing."""
        try:
            found = [file.stat() for file in (self._certificate.chain, self._certificate.key)]
        except OSError:
            return ()
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


def _offered(directory: Path) -> Path:
    return directory / f"{_NAME}.json"


def _check_pem(flag: str, file: Path, label: str) -> None:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CannotStart(f"{flag}: can't read {file} ({error.strerror})") from None
    if label.encode() not in content:
        raise CannotStart(f"{flag}: {file} has no {label.strip(' -').lower()} in PEM")
