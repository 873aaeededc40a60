"""One suite for the Generator port, on the fake, on Triton and on an OpenAI-compatible endpoint."""

from collections.abc import AsyncIterator, Iterator

import pytest

from headwater.clients.openai import OpenAiGenerator
from headwater.clients.triton.generator import TritonGenerator
from headwater.ports.models import Generator
from headwater.settings import GeneratorSettings
from tests.support.answering import QuotingGenerator
from tests.support.chat_server import ChatServer, chat_server
from tests.support.stack import RunningStack

PASSAGES = ["Your manager approves travel to a customer. Ask a week before.", "Bees find their way by the sun."]
QUESTION = "Who approves travel to a customer?"
UNANSWERABLE = "Is the unanswerable moon made of green cheese?"


class GeneratorContract:
    """Subclasses provide the `generator` fixture and, where the model is told what to say, prepare it in `expect`."""

    async def expect(self, *, answerable: bool) -> None:
        """Prepare what answers."""

    async def test_an_answer_rests_on_the_passages_it_names(self, generator: Generator) -> None:
        await self.expect(answerable=True)
        answer = await generator.generate(QUESTION, PASSAGES)
        assert answer.answerable
        assert "manager approves travel" in answer.text
        assert answer.passages == (0,)

    async def test_passages_that_do_not_answer_give_no_answer(self, generator: Generator) -> None:
        await self.expect(answerable=False)
        answer = await generator.generate(UNANSWERABLE, PASSAGES)
        assert (answer.text, answer.passages, answer.answerable) == ("", (), False)

    async def test_a_stream_ends_with_the_whole(self, generator: Generator) -> None:
        await self.expect(answerable=True)
        deltas = [delta async for delta in generator.stream(QUESTION, PASSAGES)]
        final = deltas[-1].final
        assert final is not None
        assert all(delta.final is None for delta in deltas[:-1])
        assert "".join(delta.text for delta in deltas).strip() == final.text

    async def test_model_and_prompt_have_names(self, generator: Generator) -> None:
        assert generator.model
        assert generator.prompt_version


class TestFake(GeneratorContract):
    @pytest.fixture
    def generator(self) -> Generator:
        return QuotingGenerator()


class TestOpenAi(GeneratorContract):
    @pytest.fixture
    def chat(self) -> Iterator[ChatServer]:
        with chat_server() as chat:
            self.server = chat
            yield chat

    @pytest.fixture
    async def generator(self, chat: ChatServer) -> AsyncIterator[Generator]:
        settings = GeneratorSettings(kind="openai", openai_url=chat.url, openai_model="small")
        async with OpenAiGenerator.open(settings) as generator:
            yield generator

    async def expect(self, *, answerable: bool) -> None:
        self.server.pieces = ["Your manager approves ", "travel [1]."] if answerable else ["NOT_ANSWERABLE"]


@pytest.mark.real
class TestTriton(GeneratorContract):
    @pytest.fixture
    async def generator(self, stack: RunningStack) -> AsyncIterator[Generator]:
        async with TritonGenerator.open(stack.settings.triton) as generator:
            yield generator

    async def test_an_answer_is_quoted_word_for_word(self, generator: Generator) -> None:
        answer = await generator.generate(QUESTION, PASSAGES)
        quoted, _, citation = answer.text.rpartition(" ")
        assert quoted in PASSAGES[0]
        assert citation == "[1]"

    async def test_no_passage_no_answer(self, generator: Generator) -> None:
        assert not (await generator.generate(QUESTION, [])).answerable
        assert not (await generator.generate(QUESTION, ["", "Hm"])).answerable
