"""What a proof still waits for: neither complete, nor given up."""

from headwater.generations.catching_up import _FLOW, without_failed
from headwater.local.lag import INPUTS, PER_GENERATION
from schemas.events.base import Store
from schemas.events.documents import ProgressOutcome
from schemas.ids import GenerationName, Revision, document_id
from tests.support.events import GENERATION, SOURCE, TENANT, progressed
from tests.support.read_model import FakeDocuments


async def test_only_what_failed_at_this_revision_or_later_is_waited_for_no_longer() -> None:
    model = FakeDocuments()
    reports = {
        "failed": (7, ProgressOutcome.FAILED),
        "failed-later": (8, ProgressOutcome.FAILED),
        "failed-before": (6, ProgressOutcome.FAILED),
        "complete-before": (6, ProgressOutcome.COMPLETE),
    }
    await model.record_progress(
        [
            progressed(Store.VECTORS, name, revision=revision, outcome=outcome)
            for name, (revision, outcome) in reports.items()
        ]
    )
    wanted = {(TENANT, document_id(TENANT, SOURCE, name), Store.VECTORS): Revision(7) for name in (*reports, "unheard")}
    words = (TENANT, document_id(TENANT, SOURCE, "failed"), Store.KEYWORDS)
    left = await without_failed(wanted | {words: Revision(7)}, model, generation=GENERATION)
    waited_for = [document_id(TENANT, SOURCE, name) for name in ("failed-before", "complete-before", "unheard")]
    assert left.keys() == {words, *((TENANT, document, Store.VECTORS) for document in waited_for)}
    assert await without_failed(wanted, model, generation=GenerationName("g2")) == wanted


async def test_more_documents_than_one_request_takes_are_all_asked_for() -> None:
    model = FakeDocuments()
    names = [f"page-{n}" for n in range(600)]
    await model.record_progress([progressed(Store.KEYWORDS, name, outcome=ProgressOutcome.FAILED) for name in names])
    wanted = {(TENANT, document_id(TENANT, SOURCE, name), Store.KEYWORDS): Revision(7) for name in names}
    assert await without_failed(wanted, model, generation=GENERATION) == {}


def test_everything_that_a_generations_stages_read_is_waited_for() -> None:
    read = {(stage, topic) for stage in PER_GENERATION for topic in INPUTS[stage]}
    assert set(_FLOW) == read
    assert len(_FLOW) == len(read)
