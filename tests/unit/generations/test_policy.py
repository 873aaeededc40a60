"""A chunking policy as a generation's record names it."""

import pytest

from headwater.generations.policy import DEFAULT_POLICY, ChunkPolicy, PolicyError, parse_policy

SMALL = ChunkPolicy(max_tokens=128, max_context_tokens=48, min_tokens=32)


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, SMALL])
def test_a_policy_is_read_as_it_was_written(policy: ChunkPolicy) -> None:
    assert parse_policy(policy.text) == policy


def test_only_what_differs_is_written() -> None:
    assert DEFAULT_POLICY.text == "structure-1"
    assert SMALL.text == "structure-1,max_tokens=128,max_context_tokens=48,min_tokens=32"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "structure-1"),
        ("sentences", "'sentences'"),
        ("structure-1,max_tokens", "'max_tokens'"),
        ("structure-1,max_tokens=-1", "max_tokens=-1"),
        ("structure-1,name=x", "'name=x'"),
        ("structure-1,max_tokens=128", "max_context_tokens must be at most half"),
        ("structure-1,max_tokens=512", "max_tokens is at most 256"),
        ("structure-1,max_bytes=10000", "max_bytes is at most 8192"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(text: str, named: str) -> None:
    with pytest.raises(PolicyError, match=f"^policy: .*{named}"):
        parse_policy(text)
