import optuna
import pytest

from sweeps.chatter import without_chatter
from sweeps.mirror import Mirror


@pytest.fixture
def talkative():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    yield
    optuna.logging.set_verbosity(before)


def test_optuna_announces_nothing_and_speaks_again_afterwards(talkative, caplog):
    behind = optuna.storages.InMemoryStorage()
    with without_chatter():
        optuna.create_study(storage=behind, study_name="s")
    Mirror(behind, "s")
    assert caplog.messages == []
    optuna.create_study(storage=behind, study_name="t")
    assert len(caplog.messages) == 1
