"""Recorded pages come out as they were expected of another reader of Confluence: text, ids, versions, permissions."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from streams.prepare.parsers.html import parse_html
from tests.support.confluence import ConfluenceSource, confluence_source
from tests.support.confluence_cloud import CloudServer
from tests.support.confluence_server import ConfluenceServer
from tests.support.confluence_wiki import Group, Piece, Restricted, Space
from tests.support.corpora import corpus
from tests.support.sources import Follower

_RECORDED = "api/unstructured-ingest/confluence_small"
_TITLE = re.compile(r"<h1>.*?</h1>", re.DOTALL)


def _restore(source: ConfluenceSource, expected: dict[str, object], body: str) -> None:
    """Put a recorded page into the site: as its body what a browser was shown, for nothing else was recorded."""
    told = json.loads(json.dumps(expected))
    read = next(each["read"] for each in told["metadata"]["permissions_data"] if "read" in each)
    space = told["additional_metadata"]["space_key"]
    source.wiki.spaces.setdefault(space, Space(key=space))
    users = set(read["users"])
    source.settings = {"users": json.dumps({each: each for each in users})}
    if isinstance(source.server, CloudServer):  # where they were recorded: the ids are the site's own
        users = {each.removeprefix("712020:") for each in users}
        source.server.group_ids |= {each: each for each in read["groups"]}
    source.wiki.users |= dict.fromkeys(users, "")
    source.wiki.groups |= {each: Group() for each in read["groups"]}
    source.wiki.pieces[told["identifier"]] = Piece(
        id=told["identifier"],
        kind="page",
        space=space,
        title=told["display_name"],
        body=_TITLE.sub("", body, count=1),
        parent=None,
        version=int(told["metadata"]["version"]),
        modified_at=datetime.fromisoformat(told["metadata"]["date_modified"]),
        restriction=Restricted(users=users, groups=set(read["groups"])),
    )


@pytest.mark.parametrize("kind", [ConfluenceServer, CloudServer])
async def test_recorded_pages_are_reproduced(kind: type[ConfluenceServer]) -> None:
    folder: Path = corpus(_RECORDED)
    expected = {path.stem: json.loads(path.read_text()) for path in sorted((folder / "file_data").glob("*.json"))}
    pages = {path.stem: path.read_text() for path in sorted((folder / "downloads").rglob("*.html"))}
    assert len(expected) == len(pages) == 6
    async with confluence_source(kind) as source:
        for page_id, told in expected.items():
            _restore(source, told, pages[page_id])
        follower = Follower(source)
        await follower.submit(source.connector().inner.changes({}))
        assert follower.documents.keys() == expected.keys()
        for page_id, told in expected.items():
            read = told["metadata"]["permissions_data"][0]["read"]
            assert follower.cursor[f"c/{page_id}"].split(b" ")[0].decode() == told["metadata"]["version"]
            ours = parse_html(follower.documents[page_id].text.encode())
            assert ours.text == parse_html(pages[page_id].encode()).text
            assert ours.title == told["display_name"]
            space, own = follower.documents[page_id].access.clauses
            assert space.principals == (f"group:wiki:space:{told['additional_metadata']['space_key']}",)
            named = [f"group:wiki:group:{each}" for each in read["groups"]] + [f"user:{each}" for each in read["users"]]
            assert list(own.principals) == named
