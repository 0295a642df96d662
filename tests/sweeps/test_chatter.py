import optuna

from sweeps.chatter import without_chatter
from sweeps.mirror import Mirror


def test_optuna_announces_nothing_and_speaks_again_afterwards(capfd):
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    behind = optuna.storages.InMemoryStorage()
    with without_chatter():
        optuna.create_study(storage=behind, study_name="s")
    Mirror(behind, "s")
    assert capfd.readouterr().err == ""
    optuna.create_study(storage=behind, study_name="t")
    assert "created" in capfd.readouterr().err
    optuna.logging.set_verbosity(before)
