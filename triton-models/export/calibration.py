"""The texts that quantization looks at: from a question of a few words to a passage as long as the model takes."""

import random
from pathlib import Path

SEED = 20240229  # any number: fixed, so that the same sources give the same artefact
PASSAGES_PER_TEXT = (1, 1, 2, 3, 4, 6, 8)  # from one line to the whole window; the long ones are what a stage sends


def calibration_texts(source: Path, count: int) -> list[str]:
    """Return `count` texts joined from the lines of `source`, the same ones each time; its first line is a comment."""
    passages = source.read_text(encoding="utf-8").splitlines()[1:]
    chance = random.Random(SEED)  # noqa: S311 - a fixed shuffle, nothing secret
    return [
        " ".join(chance.sample(passages, PASSAGES_PER_TEXT[number % len(PASSAGES_PER_TEXT)])) for number in range(count)
    ]
