"""Attempts of a request that will be made again."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any


def is_retried(environ: Any, error: Any) -> bool:
    """Tell whether pyramid_retry will try the request again, so that an error of this attempt is none yet.

    Args:
        environ: of the request, in which pyramid_retry counts.
        error: of the attempt.
    """
    module = sys.modules.get("pyramid_retry")
    if module is None or "retry.attempts" not in environ:
        return False

    # It asks the environ of the request, and nothing else of it.
    return bool(module.is_error_retryable(SimpleNamespace(environ=environ), error))
