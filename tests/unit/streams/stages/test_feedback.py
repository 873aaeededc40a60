from schemas.events import QueryExecuted, ReviewRequested
from schemas.events.queries import FeedbackType
from schemas.topics import Topic
from streams.analytics.agent import AnalyticsStage
from streams.feedback.agent import FeedbackStage
from streams.feedback.step import review, review_reason
from streams.harness.gathering import Coalescer
from tests.support.events import HANDBOOK, TENANT, executed, feedback
from tests.support.freshness import FakeFreshness
from tests.support.read_model import FakeAnalytics
from tests.support.stages import FakeDelivery, FakePublisher


def test_who_is_content_asks_for_no_review() -> None:
    assert review_reason(feedback(rating=3)) is None
    assert review_reason(feedback(rating=5, type_=FeedbackType.INCOMPLETE)) is None


def test_low_ratings_and_faults_ask_for_one() -> None:
    assert review_reason(feedback(rating=2)) == "rated 2 of 5"
    assert review_reason(feedback(rating=5, type_=FeedbackType.INCORRECT)) == "reported as incorrect"
    assert review_reason(feedback(rating=4, type_=FeedbackType.OUTDATED)) == "reported as outdated"


def test_a_review_names_each_document_once_and_is_the_same_when_repeated() -> None:
    word = feedback(rating=1)
    assert review(word, "r", executed()).documents == (HANDBOOK,)
    assert review(word, "r", executed()) == review(word, "r", executed())
    assert review(word, "r", None).documents == ()


async def test_feedback_is_recorded_and_its_review_names_the_answers_documents() -> None:
    model, publisher, records = FakeAnalytics(), FakePublisher(), FakeDelivery()
    queries: Coalescer[QueryExecuted, None] = Coalescer(model.record_queries, max_weight=10)
    analytics = AnalyticsStage(
        queries=queries,
        ingestions=Coalescer(model.record_ingestions, max_weight=10),
        rounds=Coalescer(FakeFreshness(model).record_rounds, max_weight=10),
    )
    await analytics.handle(executed("q1"), records.make())
    stage = FeedbackStage(model=model, publisher=publisher)
    await stage.handle(feedback("q1", rating=1), records.make())
    await stage.handle(feedback("q1", rating=5), records.make())

    (request,) = publisher.events(Topic.REVIEWS_REQUESTED)
    assert isinstance(request, ReviewRequested)
    assert (request.query_id, request.documents) == ("q1", (HANDBOOK,))
    assert publisher.emissions[0].key == f"{TENANT}/q1".encode()
