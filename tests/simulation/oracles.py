"""The promises, as checks: of every answer while the story goes on, and of the whole installation at its end."""

from tests.simulation.answers import OfAnswers
from tests.simulation.endings import OfEndings


class Oracles(OfAnswers, OfEndings):
    """Judges one run."""
