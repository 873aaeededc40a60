"""The generator port on Triton's `answer_generation`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from headwater.clients.triton.connection import TritonConnection, strings
from headwater.errors import FatalError
from headwater.ports.models import AnswerDelta, GeneratedAnswer
from headwater.settings import TritonSettings

MODEL = "answer_generation"
OUTPUTS = ("ANSWER", "PASSAGE_INDEX", "ANSWERABLE")
UNANSWERED = GeneratedAnswer(text="", passages=(), answerable=False, prompt_tokens=0, completion_tokens=0)


class TritonGenerator:
    """Implements Generator. The embedded model quotes: it has no prompt and counts no tokens."""

    def __init__(self, connection: TritonConnection, *, revision: str) -> None:
        self._connection, self._revision = connection, revision

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: TritonSettings) -> AsyncIterator["TritonGenerator"]:
        """Connect and check that the model is served. Raises RetryableError while it loads, FatalError without it."""
        async with TritonConnection.open(settings) as connection:
            parameters = await connection.parameters(MODEL)
            yield cls(connection, revision=parameters.get("revision", "unknown"))

    @property
    def model(self) -> str:
        """See the port."""
        return f"{MODEL}@{self._revision}"

    @property
    def prompt_version(self) -> str:
        """See the port."""
        return "quoted-1"

    async def generate(self, question: str, passages: Sequence[str]) -> GeneratedAnswer:
        """See the port."""
        if not passages:
            return UNANSWERED
        inputs = {"QUESTION": strings([question]), "PASSAGES": strings(passages)}
        answer, indices, answerable = await self._connection.infer_many(MODEL, inputs, OUTPUTS)
        if not bool(answerable[0]):
            return UNANSWERED
        cited = tuple(int(index) for index in indices)
        if not cited or not all(0 <= index < len(passages) for index in cited):
            raise FatalError(
                f"model {MODEL} cites passages {cited} of {len(passages)}: build the model repository again"
            )
        return GeneratedAnswer(
            text=_with_citations(answer[0].decode(), cited),
            passages=cited,
            answerable=True,
            prompt_tokens=0,
            completion_tokens=0,
        )

    async def stream(self, question: str, passages: Sequence[str]) -> AsyncIterator[AnswerDelta]:
        """See the port. A quoted answer comes in one piece."""
        answer = await self.generate(question, passages)
        yield AnswerDelta(text=answer.text, final=answer)


def _with_citations(text: str, cited: Sequence[int]) -> str:
    """Name the passages behind the quotation, numbered from 1, as a language model does in its text."""
    return f"{text} {''.join(f'[{index + 1}]' for index in cited)}"
