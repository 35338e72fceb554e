"""A gzip member that can be extended: the stored part of /metrics is compressed once, the live part at each scrape.

Two members one after the other would be shorter to write, and Prometheus reads them; `curl --compressed` and others
stop after the first in silence. So there is always one: its deflate stream stands open on a byte boundary, closed by
an empty last block that `extended` takes off again (RFC 1951 section 3.2, RFC 1952 section 2.3).
"""

from __future__ import annotations

import struct
import zlib

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK = b"\x03\x00"
_TRAILER = struct.Struct("<II")
_OPEN_END = len(_LAST_BLOCK) + _TRAILER.size

EMPTY = _HEADER + _LAST_BLOCK + _TRAILER.pack(0, 0)
"""The member that holds nothing."""


def compressed(content: bytes, level: int = 6) -> bytes:
    """`content` as one gzip member that `extended` can go on with. The same content gives the same bytes."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return _HEADER + body + _LAST_BLOCK + _TRAILER.pack(zlib.crc32(content), len(content) & 0xFFFFFFFF)


def extended(member: bytes, more: bytes, level: int = 1) -> bytes:
    """A member that `compressed` made, with `more` behind its content."""
    crc, size = _TRAILER.unpack_from(member, len(member) - _TRAILER.size)
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    tail = deflate.compress(more) + deflate.flush()
    trailer = _TRAILER.pack(zlib.crc32(more, crc), (size + len(more)) & 0xFFFFFFFF)
    return b"".join((memoryview(member)[:-_OPEN_END], tail, trailer))
