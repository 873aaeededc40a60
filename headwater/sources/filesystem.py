"""What a source of kind `filesystem` says in the directory."""

from pathlib import Path
from typing import Self

from headwater.errors import FatalError
from headwater.sources.base import SourceSettings


class FilesystemSettings(SourceSettings):
    """`root` is a path on the connector worker's host; with `watch`, changes are followed as they happen."""

    root: Path
    watch: bool = False

    def below(self, allowed: tuple[Path, ...]) -> Self:
        """Return these settings with the real folder. Raise FatalError where it lies below none of the allowed."""
        root = self.root.resolve()  # a link does not lead out
        if not self.root.is_absolute() or not any(root.is_relative_to(each.resolve()) for each in allowed):
            raise FatalError(
                f"settings.root {self.root}: lies below no folder of HEADWATER_CONNECTORS__FILESYSTEM_ROOTS; "
                "name one that does, or have it added where the connector worker runs"
            )
        return self.model_copy(update={"root": root})
