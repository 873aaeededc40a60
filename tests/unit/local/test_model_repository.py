"""A model repository of the operator's own, beside the project's."""

from dataclasses import replace
from pathlib import Path

import pytest

from headwater.errors import FatalError
from headwater.local.components import triton
from headwater.local.environment import environment_of
from headwater.local.places import places_of
from headwater.settings import LocalSettings, Settings
from tests.unit.local.site import paper_site

PATTERN = "HEADWATER_TRITON__TOKENIZER_PATTERN"


def test_nothing_more_is_served_unless_it_is_asked_for(tmp_path: Path) -> None:
    site = paper_site(tmp_path)
    command = triton.process(site).command
    assert [each for each in command if "repository" in each] == [f"--model-repository={site.places.models}"]
    assert environment_of(site, Settings())[PATTERN] == f"{site.places.models}/{{model}}/1/tokenizer.json"


def test_it_is_served_beside_the_projects_and_tokenizers_are_found_in_it(tmp_path: Path) -> None:
    site = paper_site(tmp_path)
    places = places_of(LocalSettings(state_folder=tmp_path / "state", model_repository=Path("own")))
    site.places.models.mkdir(parents=True)
    site = replace(site, places=replace(site.places, more_models=places.more_models))
    own = Path("own").absolute()
    command = triton.process(site).command
    assert [each for each in command if "repository" in each] == [
        f"--model-repository={site.places.models}",
        f"--model-repository={own}",
    ]
    assert environment_of(site, Settings())[PATTERN] == f"{own}/{{model}}/1/tokenizer.json"
    with pytest.raises(FatalError, match=r"HEADWATER_LOCAL__MODEL_REPOSITORY .*own: there is no such folder"):
        triton.prepare(site)


def test_a_pattern_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    settings = Settings.model_validate({"triton": {"tokenizer_pattern": "/t/{model}.json"}})
    assert PATTERN not in environment_of(paper_site(tmp_path), settings)
