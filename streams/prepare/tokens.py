"""Counts tokens as the embedding model reads them, with the model's own vocabulary."""

from pathlib import Path

from tokenizers import Tokenizer

from headwater.errors import FatalError
from streams.prepare.atoms import CountTokens


def load_counter(tokenizer_file: Path) -> CountTokens:
    """Return a function that counts a text's tokens, special tokens included. Raises FatalError.

    The file's own truncation and padding are switched off: a count must not stop at a limit.
    """
    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    except Exception as error:  # the library raises plain Exception
        raise FatalError(
            f"the tokenizer {tokenizer_file} cannot be loaded ({error}): build the models, or correct HEADWATER_TRITON__TOKENIZER_FILE"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        return len(tokenizer.encode(text))

    return count
