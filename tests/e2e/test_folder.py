"""A folder that the filesystem connector follows, as a process: what happens to files happens to what is found."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from headwater.demo.stage import wait_until
from tests.support.library import READER, Library
from tests.support.platform import CONNECT, Platform

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

RULES = ".headwater.yaml"
OUTSIDER = "outsider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A folder and the library that it fills."""

    root: Path
    library: Library

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def shows(self, query: str, *expected: str, user: str = READER) -> None:
        """Wait until exactly these files are found."""
        wait_until(
            f"{query!r} to find {expected} for {user}",
            lambda: self.library.found(query, user=user, mode="keyword") == set(expected),
        )


@pytest.fixture
def followed(platform: Platform, tmp_path: Path) -> Iterator[Followed]:
    """A folder with two pages, one of them for `reader` alone, that a connector follows."""
    name, root = f"folder-{uuid4().hex[:10]}", tmp_path / "tree"
    platform.directory((f"users/{READER}", {"name": READER}), (f"users/{OUTSIDER}", {"name": OUTSIDER}))
    folder = Followed(root=root, library=Library(platform=platform, name=name))
    folder.write(RULES, "readers: [everyone]")
    folder.write("harbour.md", "# Harbour\n\nThe anchorage lies behind the breakwater.")
    folder.write(f"crew/{RULES}", f"readers: ['user:{READER}']")
    folder.write("crew/wages.md", "# Wages\n\nThe anchorage allowance is four crowns.")
    arguments = ("filesystem", str(root), "--source", name, "--knowledge-base", name, "--watch")
    with platform.child(*CONNECT, *arguments, log="connector"):
        yield folder


def test_a_folder_is_found_as_its_rules_say_and_followed(followed: Followed) -> None:
    followed.shows("anchorage", "harbour.md", "crew/wages.md")
    followed.shows("anchorage", "harbour.md", user=OUTSIDER)

    followed.write("harbour.md", "# Harbour\n\nThe mooring lies behind the breakwater.")
    followed.shows("anchorage", "crew/wages.md")
    followed.shows("mooring", "harbour.md", user=OUTSIDER)

    (followed.root / "harbour.md").rename(followed.root / "port.md")
    followed.shows("mooring", "port.md", user=OUTSIDER)

    followed.write(f"crew/{RULES}", "readers: [everyone]")
    followed.shows("anchorage", "crew/wages.md", user=OUTSIDER)

    (followed.root / "crew/wages.md").unlink()
    followed.shows("anchorage")
