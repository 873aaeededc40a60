"""The generator for OpenAI-compatible endpoints, against a real server of that protocol."""

from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from headwater.clients.openai import OpenAiGenerator, cited_passages
from headwater.errors import FatalError, HeadwaterError, PoisonError, RetryableError
from headwater.settings import GeneratorSettings
from tests.support.chat_server import ChatServer, chat_server

PASSAGES = ["The office opens at eight.", "Dogs are welcome on Fridays."]


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture
async def generator(chat: ChatServer) -> AsyncIterator[OpenAiGenerator]:
    settings = GeneratorSettings(
        kind="openai", openai_url=chat.url, openai_model="small", openai_api_key=SecretStr("key"), request_timeout_s=5
    )
    async with OpenAiGenerator.open(settings) as opened:
        yield opened


async def test_an_answer_names_its_passages_and_its_cost(chat: ChatServer, generator: OpenAiGenerator) -> None:
    chat.pieces = ["On ", "Fridays [2", "], from eight [1]."]
    answer = await generator.generate("When may I bring my dog?", PASSAGES)
    assert answer.text == "On Fridays [2], from eight [1]."
    assert (answer.passages, answer.answerable) == ((1, 0), True)
    assert (answer.prompt_tokens, answer.completion_tokens) == (40, 7)


async def test_the_request_carries_rules_passages_question_and_key(
    chat: ChatServer, generator: OpenAiGenerator
) -> None:
    chat.pieces = ["Eight [1]."]
    await generator.generate("When does it open?", PASSAGES)
    (request,) = chat.requests
    system, user = (message["content"] for message in request["messages"])
    assert request["path"] == "/v1/chat/completions"
    assert request["model"] == "small"
    assert "cite" in system
    assert "NOT_ANSWERABLE" in system
    assert user.index("[1]\nThe office") < user.index("[2]\nDogs") < user.index("When does it open?")
    assert chat.authorizations == ["Bearer key"]


async def test_a_refusal_is_no_answer_and_is_never_shown(chat: ChatServer, generator: OpenAiGenerator) -> None:
    chat.pieces = ["NOT", "_ANS", "WERABLE"]
    deltas = [delta async for delta in generator.stream("Who is the mayor?", PASSAGES)]
    assert [delta.text for delta in deltas] == [""]
    assert deltas[-1].final is not None
    assert not deltas[-1].final.answerable


async def test_text_that_only_begins_as_a_refusal_is_shown_whole(chat: ChatServer, generator: OpenAiGenerator) -> None:
    chat.pieces = ["NO", "T before eight [1]."]
    deltas = [delta async for delta in generator.stream("May I come at seven?", PASSAGES)]
    assert "".join(delta.text for delta in deltas) == "NOT before eight [1]."
    assert [delta.final is not None for delta in deltas] == [False, True]


async def test_an_answer_without_a_valid_citation_is_not_trusted(chat: ChatServer, generator: OpenAiGenerator) -> None:
    chat.pieces = ["At nine, surely [7]."]
    answer = await generator.generate("When does it open?", PASSAGES)
    assert (answer.text, answer.passages, answer.answerable) == ("", (), False)


async def test_nothing_is_asked_about_no_passages(chat: ChatServer, generator: OpenAiGenerator) -> None:
    assert not (await generator.generate("When does it open?", [])).answerable
    assert chat.requests == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, FatalError), (404, FatalError), (400, PoisonError), (429, RetryableError), (503, RetryableError)],
)
async def test_a_refused_request_says_what_to_do(
    chat: ChatServer, generator: OpenAiGenerator, status: int, expected: type[HeadwaterError]
) -> None:
    chat.status = status
    with pytest.raises(expected, match=f"generator.openai_url answered {status}"):
        await generator.generate("When does it open?", PASSAGES)


async def test_a_stream_that_breaks_off_is_no_answer(chat: ChatServer, generator: OpenAiGenerator) -> None:
    chat.pieces, chat.breaks_off = ["Eight [1]"], True
    with pytest.raises(RetryableError, match="broke off"):
        await generator.generate("When does it open?", PASSAGES)


async def test_an_absent_endpoint_may_come_back() -> None:
    settings = GeneratorSettings(kind="openai", openai_url="http://127.0.0.1:1/v1", openai_model="small")
    async with OpenAiGenerator.open(settings) as generator:
        with pytest.raises(RetryableError):
            await generator.generate("When does it open?", PASSAGES)


async def test_missing_settings_are_named() -> None:
    with pytest.raises(FatalError, match=r"generator\.openai_url"):
        async with OpenAiGenerator.open(GeneratorSettings(kind="openai")):
            pass


def test_citations_keep_their_first_order_and_ignore_strangers() -> None:
    assert cited_passages("a [3], b [1, 3] c [0] d [9] e [x]", 3) == (2, 0)
