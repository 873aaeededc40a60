"""A small reader of the Airbyte protocol, run as a program: it says what the items in a file make it say.

It is started without packages (`python -I -S`), as a reader that shares nothing with us. The configuration names the
file: its `items`, what was deleted, and what is wrong with the reader.
"""

import json
import os
import sys
import time
from typing import Any

STREAM = "pages"


def say(kind: str, **what: Any) -> None:
    sys.stdout.write(json.dumps({"type": kind, **what}) + "\n")


def status(what: str) -> None:
    stream = {"stream_descriptor": {"name": STREAM}, "status": what}
    say("TRACE", trace={"type": "STREAM_STATUS", "emitted_at": time.time() * 1000, "stream_status": stream})


def record(data: dict[str, Any], ahead_s: float) -> None:
    say("RECORD", record={"stream": STREAM, "data": data, "emitted_at": int((time.time() + ahead_s) * 1000)})


def state(number: int) -> None:
    stream = {"stream_descriptor": {"name": STREAM}, "stream_state": {"number": number}}
    say("STATE", state={"type": "STREAM", "stream": stream, "sourceStats": {"recordCount": 1.0}})


def check(world: dict[str, Any], config: dict[str, Any]) -> None:
    good = config.get("credentials", {}).get("token") == world.get("token")
    wrong = f"HTTP Status Code: 401. {config['credentials']['token']} is not known" if not good else None
    say("CONNECTION_STATUS", connectionStatus={"status": "SUCCEEDED" if good else "FAILED", "message": wrong})


def discover() -> None:
    modes = ["full_refresh", "incremental"]
    pages = {"name": STREAM, "json_schema": {}, "supported_sync_modes": modes, "source_defined_primary_key": [["id"]]}
    say(
        "CATALOG",
        catalog={"streams": [pages, {"name": "others", "json_schema": {}, "supported_sync_modes": modes[:1]}]},
    )


def fail(message: str, kind: str) -> None:
    """End in the middle."""
    error = {"message": message, "failure_type": kind}
    say("TRACE", trace={"type": "ERROR", "emitted_at": 0, "error": error})
    status("INCOMPLETE")
    sys.stdout.flush()
    sys.exit(1)


def read(world: dict[str, Any], incremental: bool, since: int) -> None:
    """Say the items, in incremental mode those of a number above the state's, and the state after every second."""
    status("STARTED")
    items = sorted(world["items"], key=lambda item: item["number"]) if incremental else world["items"]
    told = [each for each in items if each["number"] > since]
    if world.get("repeats"):
        told = [each for start in range(0, len(told), 2) for each in told[start : start + 2] * 2]
    for count, item in enumerate(told):
        if count == world.get("refuses_after"):
            fail("HTTP Status Code: 401. The token has expired", "config_error")
        if item.get("gone") and not incremental:
            continue
        record({name: value for name, value in item.items() if name != "number"}, world.get("ahead_s", 0.0))
        if count % 2:
            state(item["number"])
        if count + 1 == world.get("breaks_after"):
            fail("the wiki is away", "transient_error")
    state(max([since, *(item["number"] for item in items)]))
    status("COMPLETE")


def main() -> None:
    given = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=False))
    with open(given["--config"], encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes longer to import than the rest to run
        config = json.load(file)
    if "script" in config:  # a reader of which everything is wrong that a test wants to be wrong
        names = {
            "config": config,
            "token": config["token"],
            "given": given,
            "os": os,
            "sys": sys,
            "time": time,
            "say": say,
        }
        exec(config["script"], names)  # noqa: S102 - the test's own
        return
    with open(config["world"], encoding="utf-8") as file:  # noqa: PTH123 - as above
        world = json.load(file)
    if sys.argv[1] == "check":
        check(world, config)
    elif sys.argv[1] == "discover":
        discover()
    else:
        with open(given["--catalog"], encoding="utf-8") as file:  # noqa: PTH123 - as above
            (stream,) = json.load(file)["streams"]
        since = 0
        if "--state" in given:
            with open(given["--state"], encoding="utf-8") as file:  # noqa: PTH123 - as above
                since = json.load(file)[0]["stream"]["stream_state"]["number"]
        read(world, stream["sync_mode"] == "incremental", since)


if __name__ == "__main__":
    main()
