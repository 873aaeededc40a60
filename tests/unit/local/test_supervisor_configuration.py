import configparser
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from headwater.errors import FatalError
from headwater.local.places import private_folder
from headwater.local.stack import process_table
from headwater.local.supervisor import render
from tests.unit.local.site import paper_site


def test_supervisord_itself_reads_what_we_write(tmp_path: Path) -> None:
    """Spaces and quotes in the path included."""
    site = paper_site(tmp_path / "o'Neill; his project")
    table = process_table(site)
    private_folder(site.places.run)
    site.places.logs.mkdir(parents=True)
    for process in table:
        if process.folder is not None:
            process.folder.mkdir(parents=True, exist_ok=True)
    site.places.configuration.write_text(render(table, places=site.places))

    options = ServerOptions()
    options.realize(args=["-c", str(site.places.configuration)])
    programs = {program.name: program for group in options.process_group_configs for program in group.process_configs}

    assert programs.keys() == {process.name for process in table}
    for process in table:
        program = programs[process.name]
        assert tuple(shlex.split(program.command)) == process.command
        assert not program.autostart  # the order is ours
        assert program.autorestart
        assert program.stopwaitsecs == process.stop_grace_s
        for name, value in process.environment.items():
            assert program.environment[name] == value


def test_the_socket_is_for_this_user_only(tmp_path: Path) -> None:
    site = paper_site(tmp_path)
    parsed = configparser.RawConfigParser()
    parsed.read_string(render((), places=site.places))
    assert parsed["unix_http_server"]["chmod"] == "0700"
    assert parsed["unix_http_server"]["file"] == str(site.places.socket)


def test_a_long_state_folder_gets_a_socket_elsewhere(tmp_path: Path) -> None:
    places = replace(paper_site(tmp_path).places, state=tmp_path / ("x" * 100))
    assert len(str(places.socket)) < 100
    assert places.socket != replace(places, state=tmp_path / ("y" * 100)).socket


@pytest.mark.parametrize("folder", ["100%", "a ;b", "a #b"])
def test_a_path_that_the_file_cannot_hold_is_refused(tmp_path: Path, folder: str) -> None:
    site = paper_site(tmp_path / folder)
    with pytest.raises(FatalError, match="set HEADWATER_LOCAL__STATE_FOLDER"):
        render(process_table(site), places=site.places)
