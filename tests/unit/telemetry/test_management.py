import httpx

from headwater.settings import ManagementSettings
from headwater.telemetry.management import Health, ManagementServer


def test_a_process_is_ready_when_every_dependency_is() -> None:
    health = Health()
    with ManagementServer(ManagementSettings(), health) as server:
        base = f"http://127.0.0.1:{server.port}"
        assert httpx.get(f"{base}/readyz").status_code == 503  # nothing has been said yet
        health.ready("kafka")
        health.check("heads", lambda: "12 s behind the log")
        answer = httpx.get(f"{base}/readyz")
        assert answer.status_code == 503
        assert answer.json()["dependencies"] == {"kafka": None, "heads": "12 s behind the log"}
        health.check("heads", lambda: None)
        assert httpx.get(f"{base}/readyz").status_code == 200
        assert "python_info" in httpx.get(f"{base}/metrics").text
        assert httpx.get(f"{base}/other").status_code == 404


def test_a_stalled_loop_is_not_live() -> None:
    health = Health(stall_s=0.0)
    with ManagementServer(ManagementSettings(), health) as server:
        assert httpx.get(f"http://127.0.0.1:{server.port}/livez").status_code == 503
