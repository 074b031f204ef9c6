"""The SDK transport that keeps envelopes in a spool."""

from __future__ import annotations

import logging
from typing import Any

from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from sentry_paste.spool.files import Spool

log = logging.getLogger("sentry_paste")


class SpoolTransport(Transport):
    """Write each envelope to a spool directory.

    A directory that cannot be written costs the envelope and one warning, never the request.

    Args:
        spool: where to write.
        options: the client's options, as every SDK transport takes them.
    """

    def __init__(self, spool: Spool, options: dict[str, Any] | None = None) -> None:
        super().__init__(options)
        self.spool = spool
        self._warned = False

    def capture_envelope(self, envelope: Envelope) -> None:
        """Write the envelope before returning.

        Args:
            envelope: what the SDK captured.
        """
        try:
            self.spool.write(envelope)
        except Exception as error:  # whatever the disk does, the app goes on
            warned, self._warned = self._warned, True
            if not warned:
                log.warning("spool_dir: %s: nothing is kept until this is mended", error)
        else:
            self._warned = False
