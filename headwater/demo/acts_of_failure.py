"""Acts 6 to 8: what happens when parts fail, and how everything is explained."""

import os
import signal
from typing import Any

from headwater.demo.acts import Lines
from headwater.demo.stage import Stage, expect, wait_until

EDITED = ("welcome.md", "remote-work.md", "sustainability.md", "customer-care.md")
BROKEN_PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\nthis was a PDF once\n"


def survive(stage: Stage) -> Lines:
    """Act 6: kill -9 of the embed stage and a stop of Milvus while edits go on."""
    embed = stage.supervisor.states()["embed"]
    stage.supervisor.stop("milvus")
    wait_until("Milvus to stop", lambda: stage.supervisor.states()["milvus"].pid is None)
    if embed.pid is not None:
        os.kill(embed.pid, signal.SIGKILL)
    for number, name in enumerate(EDITED):
        file = stage.folder / "general" / name
        file.write_text(
            file.read_text() + f"\n## Addendum {number}\n\nThe outage rehearsal {number} was held in fog.\n"
        )

    def found_by_words() -> dict[str, Any] | None:
        found = stage.search("sam", "outage rehearsal fog", top_k=20)
        return found if len(_rehearsals(found)) == len(EDITED) else None

    degraded, words_ms = wait_until("the edits to be found by their words", found_by_words)
    expect("keywords_only" in degraded["meta"]["degraded"], "the answer does not say that the vectors are missing")
    stage.supervisor.start("milvus")

    def complete() -> bool:
        found = stage.search("sam", "outage rehearsal fog", mode="vector", top_k=20)
        return len(_rehearsals(found)) == len(EDITED) and not found["meta"]["degraded"]

    _, whole_ms = wait_until("everything to be complete again", complete)
    expect(not stage.admin.call("GET", "/parked")["letters"], "something was parked during the outage")
    said = ", ".join(degraded["meta"]["degraded"])
    return [
        f"while Milvus was away: {len(EDITED)} edits found by words after {words_ms:.0f} ms; the response said {said}",
        f"complete in both stores {whole_ms:,.0f} ms after Milvus was started; nothing lost, nothing parked",
    ]


def park(stage: Stage) -> Lines:
    """Act 7: a broken file is parked, with its reason."""
    (stage.folder / "general" / "broken.pdf").write_bytes(BROKEN_PDF)

    def failed() -> dict[str, Any] | None:
        summary = stage.documents().get("general/broken.pdf")
        state = stage.document(summary["document_id"]) if summary else {}
        return state if state and state["status"] == "failed" else None

    state, took_ms = wait_until("the broken file's failure to be known", failed)
    # The list is another index than the document's state, and shows what was written up to a refresh later.
    parked, _ = wait_until("its letter to be listed", lambda: stage.admin.call("GET", "/parked")["letters"])
    expect(len(parked) == 1, f"{len(parked)} events are parked, not one")
    failure = state["failure"]
    expect(failure["reason"], "the failure has no reason")
    return [f"after {took_ms:.0f} ms: {failure['error']} in stage {failure['stage']}: {failure['reason']}"]


def trace(stage: Stage) -> Lines:
    """Act 8: the lineage of act 2's answer."""
    source = stage.notes["source"]
    trail = stage.callers["ann"].call("GET", f"/documents/{source['document_id']}/lineage")
    steps = {step["step"]: step for step in trail["steps"] if step["revision"] == source["revision"]}
    expect({"log", "vectors", "keywords"} <= steps.keys(), f"the lineage has only {sorted(steps)}")
    vectors = steps["vectors"]
    expect(vectors["parser"] and vectors["model"], "the lineage names no parser or no model")
    return [
        f"chunk {source['id']}",
        f"revision {source['revision']}",
        f"submitted at {_place(vectors['submitted'])}, in the log at {_place(vectors['changed'])}",
        f"parser {vectors['parser']}, model {vectors['model']}",
    ]


def _rehearsals(found: dict[str, Any]) -> set[str]:
    return {hit["external_id"] for hit in found["hits"] if "outage rehearsal" in hit["text"]}


def _place(position: dict[str, Any]) -> str:
    return f"{position['topic']}/{position['partition']}/{position['offset']}"
