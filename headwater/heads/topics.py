"""What the heads are made from, and what admission reads: topic names of one installation."""

from dataclasses import dataclass
from typing import Self

from headwater.clients.kafka.config import topic_of
from headwater.settings import Settings
from schemas.topics import Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedTopics:
    """The three topics that a replica applies. All of them are read, whatever the generation."""

    changed: str
    directory: str
    progressed: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Name them for this installation."""
        return cls(
            changed=topic_of(settings, Topic.DOCUMENTS_CHANGED),
            directory=topic_of(settings, Topic.DIRECTORY_CHANGED),
            progressed=topic_of(settings, Topic.DOCUMENTS_PROGRESSED),
        )

    @property
    def names(self) -> tuple[str, str, str]:
        """All of them."""
        return (self.changed, self.directory, self.progressed)

    @property
    def transactional(self) -> frozenset[str]:
        """Those that only admission's transactions write to."""
        return frozenset({self.changed, self.directory})
