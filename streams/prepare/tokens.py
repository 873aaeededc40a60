"""Counts tokens as the embedding model reads them, with the model's own vocabulary."""

import json
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from headwater.errors import FatalError
from streams.prepare.atoms import CountTokens

_CACHED_WORDS = 65_536
_MAX_CACHED_CHARS = 200  # addresses among them, which are the slowest to tokenize; longer words would fill the memory


def load_counter(tokenizer_file: Path) -> CountTokens:
    """Return a function that counts a text's tokens, special tokens included. Raises FatalError.

    The file's own truncation and padding are switched off: a count must not stop at a limit.
    """
    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    except Exception as error:  # the library raises plain Exception
        raise FatalError(
            f"HEADWATER_TRITON__TOKENIZER_FILE {tokenizer_file}: cannot be loaded ({error}); build the models first"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    count = _text_counter(tokenizer)
    return _word_counter(count) if _reads_word_by_word(tokenizer) else count


def _text_counter(tokenizer: Tokenizer) -> CountTokens:
    def count(text: str) -> int:
        return len(tokenizer.encode_batch_fast([text])[0])  # fast: without offsets

    return count


def _word_counter(count: CountTokens) -> CountTokens:
    """Count word by word, remembering words: a text's common words are tokenized once, which saves most of the work."""
    special = count("")

    @lru_cache(maxsize=_CACHED_WORDS)
    def remembered(word: str) -> int:
        return count(word) - special

    def tokens_of(word: str) -> int:
        return remembered(word) if len(word) <= _MAX_CACHED_CHARS else count(word) - special

    def count_words(text: str) -> int:
        return special + sum(map(tokens_of, text.split()))

    return count_words


def _reads_word_by_word(tokenizer: Tokenizer) -> bool:
    """Say whether no token ever spans a space, as with BERT's family: then a text costs what its words cost."""
    parts = json.loads(tokenizer.to_str())
    kinds = {name: (parts[name] or {}).get("type") for name in ("model", "pre_tokenizer", "normalizer")}
    spans = any(len(token["content"].split()) != 1 for token in parts["added_tokens"])
    return not spans and kinds == {
        "model": "WordPiece",
        "pre_tokenizer": "BertPreTokenizer",
        "normalizer": "BertNormalizer",
    }
