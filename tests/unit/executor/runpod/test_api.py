"""The HTTP client of the API."""

from __future__ import annotations

import ssl

from runpod_deploy.executor.runpod.api import _encryption


def test_all_clients_share_the_authorities() -> None:
    """Hundreds of runs in one process read the certificates once; each connection is verified."""
    one, other = (
        _encryption(f"https://{host}", trust_env=True) for host in ("api.runpod.io", "127.0.0.1")
    )
    assert one is other
    assert (ssl.CERT_REQUIRED, True) == (one.verify_mode, one.check_hostname)


def test_plain_http_reads_no_certificates() -> None:
    """The emulator's clients are cheap, and would still believe nobody over TLS."""
    context = _encryption("http://127.0.0.1:8080", trust_env=False)
    assert 0 == context.cert_store_stats()["x509_ca"]
    assert (ssl.CERT_REQUIRED, True) == (context.verify_mode, context.check_hostname)
