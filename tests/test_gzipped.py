"""One gzip member, whatever is put behind it."""

from __future__ import annotations

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from exporter.gzipped import EMPTY, compressed, extended


@given(st.binary(max_size=5000), st.binary(max_size=500), st.binary(max_size=50))
def test_an_extended_member_holds_both_contents(content: bytes, more: bytes, yet_more: bytes) -> None:
    member = compressed(content)
    assert gzip.decompress(member) == content
    assert gzip.decompress(extended(member, more)) == content + more
    assert gzip.decompress(extended(EMPTY, yet_more)) == yet_more


@given(st.binary(max_size=5000), st.binary(max_size=500))
def test_readers_that_stop_after_one_member_get_everything(content: bytes, more: bytes) -> None:
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(extended(compressed(content), more)) + reader.flush() == content + more
    assert reader.eof
    assert reader.unused_data == b""


def test_the_same_content_gives_the_same_bytes() -> None:
    assert compressed(b"x" * 1000) == compressed(b"x" * 1000)
