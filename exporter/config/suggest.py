"""What somebody probably meant to write."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(word: str, words: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The one of `words` that `word` most resembles, or None where it resembles none."""
    close = difflib.get_close_matches(word.lower().replace("-", "_"), tuple(words), n=1, cutoff=cutoff)
    return close[0] if close else None


def known(word: str, words: Iterable[str], lead: str) -> str:
    """A hint: `did you mean focus?`, or else `lead` and all the words there are."""
    words = tuple(words)
    meant = suggestion(word, words)
    return f"did you mean {meant}?" if meant else f"{lead} {', '.join(words)}"
