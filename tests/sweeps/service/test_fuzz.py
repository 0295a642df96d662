"""A fuzzer against the running service: no fault of its own, and nothing that its schema lacks.

Slow: a minute of requests.
"""

import contextlib
import shutil

import pytest

pytestmark = pytest.mark.slow

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")

from hypothesis.strategies import booleans  # noqa: E402
from schemathesis.checks import CHECKS  # noqa: E402  after it is known to be there

EXAMPLES = 40
NAMES = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]


@schemathesis.serializer("application/toml")
def _toml(context, value):
    return str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def fuzzed(small_sweep, tmp_path_factory, begin_service, make_shelf):
    """A service that takes everything, on a storage with a sweep."""
    storage = tmp_path_factory.mktemp("fuzzed") / "runs"
    shutil.copytree(small_sweep, storage / "small")
    running, stop = begin_service(storage, make_shelf())
    yield running
    stop()


@pytest.fixture(scope="module")
def schema(fuzzed):
    headers = {"Authorization": f"Bearer {fuzzed.token}"}
    return schemathesis.openapi.from_url(f"{fuzzed.url}/api/openapi.json", headers=headers)


def test_no_request_finds_a_fault_or_an_answer_that_the_schema_lacks(schema, fuzzed):
    headers = {"Authorization": f"Bearer {fuzzed.token}"}
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:
        if operation.path.endswith("/events"):  # which has no end
            continue
        for mode in schemathesis.GenerationMode:

            @hypothesis.settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.given(operation.as_strategy(generation_mode=mode), booleans())
            def holds(case, is_there):
                if is_there and "name" in case.path_parameters:
                    case.path_parameters["name"] = "small"
                case.call_and_validate(headers=headers, checks=CHECKS.get_by_names(NAMES))

            with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # it takes no values
                holds()
    assert [path.name for path in fuzzed.storage.parent.iterdir()] == ["runs"]
    assert [path.name for path in fuzzed.storage.iterdir()] == ["small"]
