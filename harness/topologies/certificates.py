"""Certificates for servers that speak TLS: an authority for each topology, whose key never leaves this process."""

from __future__ import annotations

import datetime
from pathlib import Path

from harness.protocols import Unavailable

#: Longer than any run.
VALID_DAYS = 7
#: The authority's file, in the runtime's root for clients and in each server's own folder.
CA_FILE = "ca.pem"
#: A server's key and certificate.
SERVER_FILE = "server.pem"


class Authority:
    """Issues certificates; `file` is the one that clients verify them by. Raises Unavailable without trustme."""

    def __init__(self, file: Path) -> None:
        try:
            # For tests with TLS alone: it takes cryptography along.
            import trustme
        except ModuleNotFoundError as error:
            raise Unavailable(
                f"certificates are made with the package {error.name}, which is missing",
                remedy="pip install 'huey-harness[chaos]'",
            ) from None
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(str(file))

    def equip(self, address: str, folder: Path) -> None:
        """Put what the server at that IP address needs into its folder: good for servers and clients, and no other."""
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=VALID_DAYS)
        certificate = self._authority.issue_cert(address, not_after=until)
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / SERVER_FILE))
        self._authority.cert_pem.write_to_path(str(folder / CA_FILE))
