"""A container registry on this machine, reached as `https://registry.test` through a proxy that is one.

Registries are asked over TLS and never on loopback, so this one stands behind a proxy: the client
says `CONNECT registry.test:443`, and what answers is the registry itself, with a certificate of its own
authority.
"""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Mapping
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "registry.test"


class Registry:
    """Tags and the digests that they point at; a tag that is not there is a 404.

    Attributes:
        tags: `repository:tag` to its digest; may be changed at any time.
        asked: What was asked for, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.tags: dict[str, str] = {}
        self.asked: list[str] = []
        self.certificate = folder / "registry.pem"
        self._context = _server_context(self.certificate)
        self._server = ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def environ(self) -> Mapping[str, str]:
        """What a program must be told to find it."""
        port = self._server.server_address[1]
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{port}",
            "NO_PROXY": "127.0.0.1,localhost",
            "SSL_CERT_FILE": str(self.certificate),
        }

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[StreamRequestHandler]:
        registry = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                if _head(self.rfile).startswith(f"CONNECT {HOST}:443 "):
                    self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    with registry._context.wrap_socket(self.request, server_side=True) as secure:
                        secure.sendall(registry._answer(_head(secure.makefile("rb"))))
                else:
                    self.request.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")

        return Handler

    def _answer(self, head: str) -> bytes:
        _, path, _ = head.split(" ", 2)
        repository, _, tag = path.removeprefix("/v2/").partition("/manifests/")
        self.asked.append(f"{repository}:{tag}")
        digest = self.tags.get(self.asked[-1])
        status = "404 Not Found" if digest is None else "200 OK"
        told = "" if digest is None else f"Docker-Content-Digest: {digest}\r\n"
        return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n{told}\r\n".encode()


def _head(stream: Any) -> str:
    """Read a request up to its empty line, and return its first line."""
    first = stream.readline().decode()
    while stream.readline().strip():
        pass
    return str(first)


def _server_context(certificate: Path) -> ssl.SSLContext:
    """Return the server's side of TLS, and write the certificate that clients must trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    both = certificate.with_suffix(".key")
    both.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, both)
    return context
