import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, ConfigError, GanConfig
from gan_core.loop import run_interval, train

COHORT = CohortConfig(generator_widths=(6,), discriminator_widths=(6,), latent_dim=3, batch_size=8)


def gans(count, **values):
    return [GanConfig(seed=i, latent_dim=3, **values) for i in range(count)]


def history(configs, dataset, **arguments):
    """Each interval's [(seed, step)], in the order of seeds."""
    shared = {"steps": 4, "eval_every": 2, "slots": 3, "cohort": COHORT}
    return [
        sorted((r.member.config.seed, r.step) for r in records)
        for _, records in train(configs, dataset, **(shared | arguments))
    ]


def test_slots_are_refilled_at_once_and_everyone_trains_to_the_end(digits):
    assert history(gans(5), digits) == [
        [(0, 2), (1, 2), (2, 2)],
        [(0, 4), (1, 4), (2, 4)],
        [(3, 2), (4, 2)],
        [(3, 4), (4, 4)],
    ]


@pytest.mark.parametrize(("count", "slots"), [(1, 1), (3, 1), (3, 16), (7, 2)])
def test_every_config_makes_its_steps_once_however_many_slots(digits, count, slots):
    seen = [row for rows in history(gans(count), digits, slots=slots) for row in rows]
    assert sorted(seen) == [(i, step) for i in range(count) for step in (2, 4)]


def test_who_is_evicted_between_records_makes_room(digits):
    steps = {}
    for cohort, records in train(gans(6), digits, steps=6, eval_every=2, slots=2, cohort=COHORT):
        assert len(cohort.members) <= 2
        for record in records:
            steps.setdefault(record.member.config.seed, []).append(record.step)
            if record.member.config.seed % 2 and record.step == 2:
                cohort.evict([record.member])
    assert steps == {i: [2] if i % 2 else [2, 4, 6] for i in range(6)}


def test_who_has_diverged_leaves_its_slot_to_the_next(digits):
    broken = GanConfig(seed=100, latent_dim=3, lr_d=1e200, loss="lsgan")
    rows = history([broken, *gans(2)], digits, slots=1)
    assert [r[0][0] for r in rows] == [100, 0, 0, 1, 1]
    assert rows[0][0][1] < 2


def test_the_caller_may_evict_those_who_are_done_itself(digits):
    rows = []
    for cohort, records in train(gans(3), digits, steps=2, eval_every=2, slots=2, cohort=COHORT):
        rows.append(sorted(r.member.config.seed for r in records))
        cohort.evict([r.member for r in records])
    assert rows == [[0, 1], [2]]


def test_the_step_of_divergence_is_counted_from_one_and_since_admission(digits):
    cohort = Cohort(COHORT, digits.sample_shape, slots=2)
    cohort.admit(gans(1))
    run_interval(cohort, digits, 4)
    (late,) = cohort.admit([GanConfig(seed=9, latent_dim=3)])
    for steps in (3, 2):
        assert all(r.diverged_step is None for r in run_interval(cohort, digits, steps))
    cohort.G.parameters[cohort.slot(late), 0] = torch.nan
    for _ in range(2):  # and it stays what it was
        by_member = {r.member: r for r in run_interval(cohort, digits, 2)}
        assert by_member[late].step == 5
        assert by_member[late].diverged_step == 6


def test_those_who_are_done_can_still_be_asked(digits):
    for cohort, records in train(gans(1), digits, steps=2, eval_every=2, cohort=COHORT):
        assert cohort.generate([records[0].member], 2).shape == (1, 2, 1, 8, 8)
        last = cohort.export(records[0].member)[0]
    direct = Cohort(COHORT, digits.sample_shape, slots=16)
    (member,) = direct.admit(gans(1))
    run_interval(direct, digits, 2)
    assert all(torch.equal(last[name], p) for name, p in direct.export(member)[0].items())


def test_configs_are_read_only_as_slots_fall_free(digits):
    drawn = []

    def endless():
        while True:
            drawn.append(len(drawn))
            yield GanConfig(seed=len(drawn), latent_dim=3)

    loop = train(endless(), digits, steps=2, eval_every=2, slots=3, cohort=COHORT)
    for intervals in (1, 2, 3):
        next(loop)
        assert len(drawn) == 3 * intervals


def test_without_a_cohort_config_the_longest_z_decides(digits):
    configs = [GanConfig(latent_dim=dim) for dim in (3, 11, 5)]
    cohort, records = next(train(iter(configs), digits, steps=1, eval_every=1))
    assert cohort.config.latent_dim == 11
    assert sorted(r.member.config.latent_dim for r in records) == [3, 5, 11]


def test_without_a_cohort_config_schedules_run_over_all_the_steps(digits):
    configs = [GanConfig(latent_dim=3, lr_schedule=name) for name in ("linear", "cosine")]
    ends = list(train(configs, digits, steps=4, eval_every=2))
    assert ends[-1][0].config.schedule_steps == 4
    assert [r.step for r in ends[-1][1]] == [4, 4]


def test_conditional_networks_are_told_the_datasets_classes(digits):
    shared = {"generator_widths": (6,), "discriminator_widths": (6,), "latent_dim": 3}
    own = CohortConfig(conditional=True, **shared)
    cohort, _ = next(train(gans(1), digits, steps=1, eval_every=1, cohort=own))
    assert cohort.classes == len(digits.classes)


def test_nobody_to_train_ends_at_once(digits):
    assert list(train([], digits, steps=1, eval_every=1)) == []


@pytest.mark.parametrize(("steps", "every"), [(5, 2), (0, 1), (-2, 2), (1, 2)])
def test_steps_that_are_no_multiple_of_the_interval_are_refused(digits, steps, every):
    with pytest.raises(ConfigError) as caught:
        next(train(gans(1), digits, steps=steps, eval_every=every, cohort=COHORT))
    assert str(caught.value) == (
        f"steps = {steps}: must be a positive multiple of eval_every ({every})"
    )


@pytest.mark.parametrize("every", [0, -1])
def test_an_interval_without_steps_is_refused(digits, every):
    with pytest.raises(ConfigError, match=rf"eval_every \({every}\)"):
        next(train(gans(1), digits, steps=2, eval_every=every, cohort=COHORT))


@pytest.mark.parametrize("slots", [0, -1])
def test_no_slots_are_refused(digits, slots):
    with pytest.raises(ConfigError) as caught:
        next(train(gans(1), digits, steps=1, eval_every=1, slots=slots, cohort=COHORT))
    assert str(caught.value) == f"slots = {slots}: must be >= 1"


def test_what_the_cohort_refuses_is_told(digits):
    with pytest.raises(ConfigError, match="latent_dim = 4: must be at most the cohort's 3"):
        next(train([GanConfig(latent_dim=4)], digits, steps=1, eval_every=1, cohort=COHORT))


def test_two_intervals_are_one_of_their_sum(digits):
    def run(*intervals):
        cohort = Cohort(COHORT, digits.sample_shape, slots=3)
        members = cohort.admit(gans(3, d_steps=2))
        for steps in intervals:
            records = run_interval(cohort, digits, steps)
        return [cohort.G.parameters, cohort.D.parameters], members, records

    (whole, _, last), (parts, _, parted) = run(6), run(1, 3, 2)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
    assert [r.step for r in last] == [r.step for r in parted] == [6, 6, 6]
    assert last[0].statistics["interval_steps"] == 6
    assert parted[0].statistics["interval_steps"] == 2


def test_records_come_in_the_order_of_the_slots(digits):
    cohort = Cohort(COHORT, digits.sample_shape, slots=3)
    cohort.admit([GanConfig(seed=i, latent_dim=3, d_steps=1 + i) for i in range(3)])
    assert tuple(r.member for r in run_interval(cohort, digits, 1)) == cohort.members
