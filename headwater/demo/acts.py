"""Acts 1 to 5: what works when everything is up."""

from datetime import datetime
from statistics import quantiles
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from headwater.cli.api_client import path_id
from headwater.demo.stage import Stage, copy_handbook, expect, wait_until
from headwater.local.lag import LagReader

Lines = list[str]
LEAVE = "general/leave.md"


def ingest(stage: Stage) -> Lines:
    """Act 1: ingest with a live table of the stages; findable by words, then by meaning."""
    expected = copy_handbook(stage.folder)
    lag = LagReader(stage.settings)
    try:
        with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:

            def complete() -> bool:
                counts = _by_status(stage)
                live.update(_table(lag, counts, expected))
                return counts.get("searchable", 0) == expected

            _, took_ms = wait_until("every document searchable in both stores", complete)
    finally:
        lag.close()
    words = stage.search("sam", "storm gates at high water", mode="keyword")["hits"]
    expect(words and words[0]["external_id"] == "general/storm-plan.pdf", "the storm plan is not found by its words")
    meaning = stage.search("sam", "How long beforehand must I apply for a vacation?", mode="vector")["hits"]
    expect(LEAVE in [hit["external_id"] for hit in meaning[:3]], "the rules of leave are not found by their meaning")
    fresh = _freshness_ms(stage)
    return [
        f"{expected} documents in seven formats searchable in both stores after {took_ms:,.0f} ms",
        f"by words: page {words[0]['page']} of {words[0]['title']!r}; by meaning: {meaning[0]['title']!r}",
        f"freshness, seen at the source to searchable: p50 {fresh[0]:,.0f} ms, p95 {fresh[1]:,.0f} ms",
    ]


def answer(stage: Stage) -> Lines:
    """Act 2: an answer with citations; who may not read the source gets another answer or none."""
    question = "How much does a captain or chief engineer in band 4 earn?"
    found = stage.ask("ann", question)
    expect(found["answer"], "the people team gets no answer")
    sources = [source["title"] for source in found["sources"]]
    expect("salary bands" in sources, f"the answer does not rest on the salary bands, but on {sources}")
    other = stage.ask("sam", question)
    shown = [*other["sources"], *other["passages"]]
    expect(all(source["title"] != "salary bands" for source in shown), "a deck hand is shown the salary bands")
    stage.notes["source"] = next(source for source in found["sources"] if source["title"] == "salary bands")
    return [
        f"Ann of the people team: {_short(found['answer'])}",
        f"  rests on {sources}, {found['meta']['timings_ms']['total']:.0f} ms",
        f"Sam, a deck hand: {_short(other['answer']) if other['answer'] else 'no answer: nothing he may read says so'}",
    ]


def revoke(stage: Stage) -> Lines:
    """Act 3: a revocation holds at the gate before any store is rewritten."""
    path, query = f"/documents/news/{path_id('dunlin')}", "new ship Dunlin launch ceremony"
    body = {
        "title": "The Dunlin",
        "text": "# The Dunlin\n\nThe launch ceremony of the new ship Dunlin is on 12 September at Berth 1.",
        "media_type": "text/markdown",
        "access": {"clauses": [{"principals": ["everyone"]}]},
    }
    document = stage.admin.call("PUT", path, json=body)["document_id"]

    def visible() -> bool:
        return any(hit["document_id"] == document for hit in stage.search("sam", query)["hits"])

    wait_until("the news to be found", lambda: _is_searchable(stage.document(document)) and visible())
    before = stage.document(document, user="leo")["revision"]
    stage.admin.call("PUT", f"{path}/access", json={"clauses": [{"principals": ["user:leo"]}]})
    _, hidden_ms = wait_until("the revoked document to be hidden", lambda: not visible())

    def rewritten() -> bool:
        state = stage.document(document, user="leo")
        return bool(state) and state["revision"] > before and _is_searchable(state)

    _, more_ms = wait_until("the stores to be rewritten", rewritten)
    expect(not visible(), "the revoked document is visible again")
    return [f"hidden after {hidden_ms:.0f} ms; both stores rewritten after {hidden_ms + more_ms:.0f} ms"]


def edit(stage: Stage) -> Lines:
    """Act 4: one paragraph edited; only what changed is embedded."""
    file = stage.folder / LEAVE
    document = stage.documents()[LEAVE]["document_id"]
    before = stage.document(document)["revision"]
    file.write_text(file.read_text().replace("Up to five days are paid", "Up to nine days are paid, Zanzibar included"))

    def found() -> bool:
        hits = stage.search("sam", "nine days Zanzibar emergency leave", mode="keyword", top_k=3)["hits"]
        return any("Zanzibar" in hit["text"] for hit in hits)

    _, words_ms = wait_until("the edit to be found by its words", found)

    def complete() -> dict[str, Any] | None:
        state = stage.document(document)
        return state if state["revision"] > before and _is_searchable(state) else None

    state, more_ms = wait_until("the edit to be complete in both stores", complete)
    vectors, _ = wait_until("the edit's vectors to be reported", lambda: _report(stage, document, state["revision"]))
    expect(
        0 < vectors["embedded"] < vectors["rows"], f"{vectors['embedded']} of {vectors['rows']} chunks were embedded"
    )
    return [
        f"searchable by words after {words_ms:.0f} ms, in both stores after {words_ms + more_ms:.0f} ms",
        f"{vectors['embedded']} of {vectors['rows']} chunks embedded, {vectors['reused']} reused",
    ]


def delete(stage: Stage) -> Lines:
    """Act 5: a deletion."""
    file = stage.folder / "general" / "uniforms.txt"
    query = "life jacket with a broken seal"

    def shown() -> bool:
        hits = stage.search("sam", query)["hits"]
        return any(hit["external_id"] == "general/uniforms.txt" for hit in hits)

    expect(shown(), "the page on uniforms is not found before it is deleted")
    file.unlink()
    _, gone_ms = wait_until("the deleted document to be gone", lambda: not shown())
    return [f"gone after {gone_ms:.0f} ms"]


def _by_status(stage: Stage) -> dict[str, int]:
    counts: dict[str, int] = {}
    for document in stage.documents().values():
        counts[document["status"]] = counts.get(document["status"], 0) + 1
    return counts


def _table(lag: LagReader, counts: dict[str, int], expected: int) -> Table:
    table = Table(
        "stage", "waiting", title=f"{counts.get('searchable', 0)} of {expected} documents searchable", box=None
    )
    for stage_lag in lag.stages():
        table.add_row(stage_lag.stage, str(stage_lag.events))
    return table


def _freshness_ms(stage: Stage) -> tuple[float, float]:
    """Return p50 and p95 of the documents' own times."""
    ids = [summary["document_id"] for summary in stage.documents().values()]
    spans = [_span_ms(stage, each) for each in ids if stage.document(each, user="ann")]
    cuts = quantiles(spans, n=20, method="inclusive")
    return cuts[9], cuts[18]


def _span_ms(stage: Stage, document: str) -> float:
    def recorded() -> list[str] | None:
        times = stage.document(document, user="ann")["times"]
        found = [times[name] for name in ("observed_at", "searchable_by_words_at", "searchable_by_meaning_at")]
        return found if all(found) else None

    # The read model shows them after the heads have said that the document is searchable.
    found, _ = wait_until(f"the times of {document}", recorded)
    seen, words, meaning = (datetime.fromisoformat(time) for time in found)
    return (max(words, meaning) - seen).total_seconds() * 1000


def _report(stage: Stage, document: str, revision: int) -> dict[str, Any] | None:
    """Return what the vector store reported of a revision; the read model shows it after the heads know of it."""
    vectors: dict[str, Any] = stage.document(document)["stores"]["vectors"]
    return vectors if vectors["latest_revision"] == revision else None


def _is_searchable(state: dict[str, Any]) -> bool:
    return bool(state) and state["status"] == "searchable"


def _short(text: str) -> str:
    return " ".join(text.split())[:160]
