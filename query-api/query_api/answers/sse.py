"""Server-sent events (WHATWG HTML, 9.2)."""

import json
from typing import Any


def server_sent_event(name: str, data: Any) -> str:
    """Write one event. JSON holds no raw line break, so one data line is enough."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
