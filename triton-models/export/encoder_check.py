"""Whether a built encoder says what the fp32 one says, on this CPU, at every length that it is compiled for."""

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from encoder import LENGTHS, SentenceEncoder, available_threads


def worst_cosine(built: Path, reference: Path, *, variant: str, texts: list[str]) -> float:
    """Return the lowest cosine between the vectors of two artefact folders; `reference` holds fp32.

    The texts are cut to each length in turn: kernels differ by shape, and so do their faults.
    """
    threads = available_threads()
    encoder, exact = (
        SentenceEncoder(folder, variant=name, streams=threads, threads=threads)
        for folder, name in ((built, variant), (reference, "fp32"))
    )
    tokenizer = Tokenizer.from_file(str(reference / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    encodings = tokenizer.encode_batch(texts)
    for number, encoding in enumerate(encodings):
        encoding.truncate(LENGTHS[number % len(LENGTHS)])
    pairs = zip(encoder.vectors(encodings), exact.vectors(encodings), strict=True)
    return float(min(np.dot(left, right) for left, right in pairs))
