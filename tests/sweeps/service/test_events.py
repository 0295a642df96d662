import pytest

from sweeps.service.events import what_happened
from sweeps.service.states import Begun, RunState, SweepState


def state(kind=RunState.RUNNING, **more):
    return SweepState(name="a", state=kind, begun_by=Begun.JOB, **more)


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        (None, state(), "status"),
        (state(), state(), None),
        (state(RunState.PENDING), state(), "status"),
        (state(), state(training_steps=100), "rung"),
        (state(), state(ended=1), "rung"),
        (state(), state(version="x", changed_at=1.0), None),
        (state(), state(RunState.DONE, ended=5), "end"),
        (state(), state(RunState.FAILED), "end"),
        (state(RunState.DONE), state(RunState.PENDING), "status"),
        (state(RunState.DONE), state(RunState.STOPPED), "status"),
    ],
)
def test_what_happened_lies_between_two_states(before, now, kind):
    assert what_happened(before, now) == kind


def test_a_stream_tells_what_happens_until_the_sweep_is_deleted(serve, shelf, begun_sweep):
    from sweeps.service.client import Client

    directory = begun_sweep("digits")
    service = serve(shelf)
    client = Client(service.url, service.token)
    events = client.events("digits")
    assert next(events)[1]["state"] == "stopped"
    client.resume("digits")
    assert next(events)[0] == "status"
    client.stop("digits")
    assert next(events)[0] == "end"
    client.delete("digits")
    assert next(events) == ("deleted", {"name": "digits"})
    assert list(events) == []
    assert not directory.exists()
