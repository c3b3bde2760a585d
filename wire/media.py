"""Images, sound and files as parts: where they are or how large, and which by digest; never their bytes."""

from __future__ import annotations

import binascii
import hashlib
from urllib.parse import unquote_to_bytes

from pipeline.records import Part


def blob(modality: str, mime_type: str | None, encoded: str) -> Part:
    """The part for base64 text; without size and digest when it is not base64."""
    try:
        content = binascii.a2b_base64(encoded.encode("ascii", "replace"))
    except binascii.Error:
        return Part("blob", modality=modality, mime_type=mime_type)
    return _blob(modality, mime_type, content)


def uri(modality: str, address: str) -> Part:
    """The part for a URI; a `data:` URI is a blob."""
    if address[:5].lower() != "data:":
        return Part("uri", modality=modality, uri=address)
    head, _, encoded = address[5:].partition(",")
    mime_type, *options = head.split(";")
    if "base64" in (option.strip().lower() for option in options):
        return blob(modality, mime_type or None, encoded)
    return _blob(modality, mime_type or None, unquote_to_bytes(encoded))


def _blob(modality: str, mime_type: str | None, content: bytes) -> Part:
    digest = hashlib.sha256(content).hexdigest()
    return Part("blob", modality=modality, mime_type=mime_type, size=len(content), digest=digest)
