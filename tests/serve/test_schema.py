"""Requests made up from the OpenAPI schema: whatever is sent, the service never fails by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")
pytest.importorskip("schemathesis", reason="needs schemathesis: pip install schemathesis")
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = 12
OPERATIONS = {
    ("POST", "/v1/analyze"), ("POST", "/v1/analyze/batch"), ("GET", "/v1/jobs/{job_id}"),
    ("DELETE", "/v1/jobs/{job_id}"), ("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/healthz"),
    ("GET", "/readyz"), ("GET", "/metrics"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_nothing_that_the_schema_allows_or_not_ends_in_a_500(open_server: Callable[..., tuple[str, Any]]) -> None:
    url, _ = open_server(timeout_s=20.0)
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {(one.method.upper(), one.path) for one in operations} == OPERATIONS
    statuses: set[int] = set()
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    for operation in operations:
        # without a body nothing can be wrong
        for mode in modes if operation.path.startswith(("/v1/analyze", "/v1/chat")) else modes[:1]:
            ask(operation, mode, statuses)
    assert {200, 404, 422} <= statuses


def ask(operation: Any, mode: Any, statuses: set[int]) -> None:
    """Send some made-up requests of one operation."""

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(data=st.data())
    def check(data: Any) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        answer = case.call(timeout=20)
        statuses.add(answer.status_code)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)

    check()
