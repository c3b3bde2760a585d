"""Images, sound and files as parts: where they are or how large, and which by digest; never their bytes."""

from __future__ import annotations

import binascii
import hashlib
import re
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from pipeline.records import Part


def blob(modality: str, mime_type: str | None, encoded: str) -> Part:
    """The part for base64 text; without size and digest when it is not base64."""
    try:
        return blob_of_bytes(modality, mime_type, _decoded(encoded))
    except binascii.Error:
        return Part("blob", modality=modality, mime_type=mime_type)


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _decoded(encoded: str) -> bytes:
    """Base64 in either alphabet, as Google's clients send it, and with or without its padding."""
    return binascii.a2b_base64(encoded.encode("ascii", "replace").translate(_URL_SAFE) + b"==")


class BlobPieces:
    """A blob that comes in pieces, each base64 of its own; only its size and digest are kept."""

    __slots__ = ("_digest", "size")

    def __init__(self) -> None:
        self.size = 0  # bytes
        self._digest = hashlib.sha256()

    def add(self, encoded: str) -> None:
        """What is not base64 adds nothing."""
        with suppress(binascii.Error):
            piece = _decoded(encoded)
            self.size += len(piece)
            self._digest.update(piece)

    def part(self, modality: str, mime_type: str | None) -> Part:
        return Part("blob", modality=modality, mime_type=mime_type, size=self.size, digest=self._digest.hexdigest())


_BARE = re.compile(r"[\w+/-]{32,}={0,2}", re.ASCII)


def uri(modality: str, address: str) -> Part:
    """The part for a URI; a `data:` URI is a blob, and so is base64 where a URI should be."""
    address = address.strip()
    if _BARE.fullmatch(address):
        return blob(modality, None, address)
    if address[:5].lower() != "data:":
        return Part("uri", modality=modality, uri=address)
    head, _, encoded = address[5:].partition(",")
    mime_type, *options = head.split(";")
    if "base64" in (option.strip().lower() for option in options):
        return blob(modality, mime_type or None, encoded)
    return blob_of_bytes(modality, mime_type or None, unquote_to_bytes(encoded))


def blob_of_bytes(modality: str, mime_type: str | None, content: bytes) -> Part:
    """The part for what came as it is, not as base64."""
    digest = hashlib.sha256(content).hexdigest()
    return Part("blob", modality=modality, mime_type=mime_type, size=len(content), digest=digest)
