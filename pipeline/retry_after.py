"""When may a request be made again? As a server says in its Retry-After header (RFC 9110 §10.2.3)."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime


def seconds_until(retry_after: str | None) -> float | None:
    """A Retry-After header, in seconds or as a date, as seconds from now; None if there is none to be understood."""
    if retry_after is None:
        return None
    if re.fullmatch(r"\s*[0-9]+\s*", retry_after):
        return float(retry_after)
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return None
