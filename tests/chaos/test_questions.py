"""kill -9 of what answers and of what keeps questions and opinions, while both flow."""

import asyncio
import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from headwater.clients.elasticsearch.analytics import ElasticsearchAnalytics
from headwater.clients.kafka.config import topic_of
from headwater.demo.stage import wait_until
from headwater.ports.read_model import JudgedQuery, Usage
from schemas.codec import decode
from schemas.events.queries import FeedbackReceived, FeedbackType, QueryExecuted, ReviewRequested
from schemas.ids import TenantId
from schemas.topics import Topic
from tests.support.conversation import Conversation
from tests.support.library import READER, Library, open_library
from tests.support.platform import Platform
from tests.support.records import read_topic

E = TypeVar("E", QueryExecuted, FeedbackReceived, ReviewRequested)
MOST_EXCHANGES = 5_000  # what is read back at once; some 30 a second are made

# The first of the platform's tests in a run waits until the whole product is up.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


@pytest.fixture
def library(platform: Platform) -> Library:
    """Two documents that the same words find."""
    library = open_library(platform)
    for name in ("ebb", "flood"):
        library.settled(library.put(name, f"# {name}\n\nThe tide table of the harbour says when the {name} begins."))
    return library


def kill(platform: Platform, process: str) -> None:
    os.kill(platform.pid(process), signal.SIGKILL)


def logged(platform: Platform, topic: Topic, kind: type[E], *, since: datetime) -> dict[str, E]:
    """Return what the log holds since then, by event id: a record that a writer repeated counts once."""
    name = topic_of(platform.settings, topic)
    events = [decode(raw, kind) for raw in read_topic(platform.settings.kafka.bootstrap_servers, name)]
    return {str(event.event_id): event for event in events if event.occurred_at >= since}


async def kept(platform: Platform, *, since: datetime) -> tuple[Usage, Sequence[JudgedQuery]]:
    """Return what the indices hold since then."""
    tenant, until = TenantId(platform.settings.api.default_tenant), datetime.now(UTC)
    async with ElasticsearchAnalytics.open(platform.settings.elasticsearch) as model:
        usage = await model.usage(tenant, since=since, until=until)
        return usage, await model.list_feedback(tenant, since=since, until=until, limit=MOST_EXCHANGES)


def test_no_question_and_no_opinion_is_lost_or_doubled_and_a_token_outlives_the_api(library: Library) -> None:
    platform, since = library.platform, datetime.now(UTC)
    talk = Conversation(
        caller=platform.acting_as(READER),
        query={"query": "tide table", "mode": "keyword", "knowledge_bases": [library.name]},
    )
    with talk.running():
        for stage in ("feedback", "analytics", "feedback"):
            talk.go_on()
            kill(platform, stage)
        talk.go_on()
        assert talk.refused == 0, "callers do not notice that what they said is not being worked on"

        accepted = library.put("ebb", "# ebb\n\nThe tide table was printed anew.", title="Anew")
        kill(platform, "query-api")
        wait_until("a request to find nobody", lambda: talk.refused)
        talk.go_on()
    assert talk.broken == [], "while the API is away nobody answers, or 503 does; afterwards requests succeed"
    assert library.state(accepted["document_id"], after=accepted["token"])["title"] in {"Anew", None}
    assert library.settled(accepted)["title"] == "Anew"

    queries = {
        each.query_id: each for each in logged(platform, Topic.QUERIES_EXECUTED, QueryExecuted, since=since).values()
    }
    opinions = logged(platform, Topic.FEEDBACK_RECEIVED, FeedbackReceived, since=since)
    # A query is recorded after its answer has gone out: the last answer before a kill may miss its record.
    assert set(talk.asked) - queries.keys() <= talk.interrupted
    assert talk.judged.items() <= {event_id: each.query_id for event_id, each in opinions.items()}.items()

    def settled() -> Sequence[JudgedQuery] | None:
        usage, judged = asyncio.run(kept(platform, since=since))
        complete = (usage.queries.count, usage.feedback.count) == (len(queries), len(opinions))
        return judged if complete else None

    judged, _ = wait_until("as many to be kept as were logged", settled)
    assert {str(each.feedback.event_id): each.feedback for each in judged} == opinions
    assert len(judged) == len(opinions)
    assert all(each.query == queries.get(each.feedback.query_id) for each in judged)


def test_bad_opinions_become_reviews_of_the_documents_that_were_shown(library: Library) -> None:
    platform, since = library.platform, datetime.now(UTC)
    talk = Conversation(
        caller=platform.acting_as(READER),
        query={"query": "tide table", "mode": "keyword", "knowledge_bases": [library.name]},
    )
    with talk.running():
        talk.go_on()
        kill(platform, "feedback")
        talk.go_on()
    assert (talk.refused, talk.broken) == (0, [])
    bad = {
        each.query_id
        for each in logged(platform, Topic.FEEDBACK_RECEIVED, FeedbackReceived, since=since).values()
        if each.type is not FeedbackType.HELPFUL
    }

    def reviews() -> list[ReviewRequested]:
        return list(logged(platform, Topic.REVIEWS_REQUESTED, ReviewRequested, since=since).values())

    wait_until("every bad opinion to be a review", lambda: {each.query_id for each in reviews()} == bad)
    queries = logged(platform, Topic.QUERIES_EXECUTED, QueryExecuted, since=since).values()
    shown = {each.query_id: {passage.document_id for passage in each.passages} for each in queries}
    assert len(reviews()) == len(bad)
    assert all(set(each.documents) == shown[each.query_id] for each in reviews())
