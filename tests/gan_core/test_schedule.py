import random
from itertools import pairwise

import pytest

from gan_core.config import GanConfig, LossVariant, Normalisation, Penalty
from gan_core.schedule import order_key, schedule


def random_gan(draw, seed, losses):
    loss = draw.choice(losses)
    penalty = draw.choice([None, None, *Penalty]) if loss.penalty is None else loss.penalty
    norms = [norm for norm in Normalisation if norm != "batch" or penalty in (None, "clip")]
    return GanConfig(
        seed=seed,
        loss=loss,
        penalty=penalty,
        d_norm=draw.choice(norms),
        d_steps=draw.choice([1, 1, 2, 3, 5]),
        instance_noise=draw.choice([0.0, 0.1, 0.2]),
        ema_half_life_images=draw.choice([None, 500.0]),
    )


def random_mix(seed):
    draw = random.Random(seed)
    losses = draw.sample(list(LossVariant), draw.randint(1, 6))
    configs = [random_gan(draw, i, losses) for i in range(draw.randint(1, 20))]
    return sorted(configs, key=order_key)


MIXES = [random_mix(seed) for seed in range(60)]
MIXES += [[GanConfig(loss=loss)] for loss in LossVariant]
every_mix = pytest.mark.parametrize("configs", MIXES)


def covered(parts):
    """Each slot that the parts name with what it is named with, in order."""
    return [(slot, what) for what, part in parts for slot in range(part.start, part.stop)]


def slots_of(parts):
    return [slot for part in parts for slot in range(part.start, part.stop)]


@every_mix
def test_every_member_takes_part_in_its_own_d_steps_rounds_and_in_the_last(configs):
    rounds = schedule(configs).rounds
    for slot, config in enumerate(configs):
        taken = [round_.index for round_ in rounds if slot < round_.members]
        assert taken == list(range(len(rounds)))[-config.d_steps :]
    assert rounds[-1].members == len(configs)


@every_mix
def test_no_round_is_without_members_and_there_are_no_more_than_needed(configs):
    rounds = schedule(configs).rounds
    assert len(rounds) == max(config.d_steps for config in configs)
    assert [round_.index for round_ in rounds] == list(range(len(rounds)))
    assert rounds[0].members > 0
    assert all(a.members <= b.members for a, b in pairwise(rounds))


@every_mix
def test_losses_and_norms_cover_a_rounds_members_exactly_and_each_has_its_own(configs):
    for round_ in schedule(configs).rounds:
        active = configs[: round_.members]
        assert covered(round_.losses) == [(i, c.loss.adversarial) for i, c in enumerate(active)]
        assert covered(round_.norms) == [(i, c.d_norm) for i, c in enumerate(active)]


@every_mix
def test_penalties_noise_and_averages_are_for_those_who_have_them_and_no_others(configs):
    for round_ in schedule(configs).rounds:
        active = list(enumerate(configs[: round_.members]))
        expected = [(i, c.penalty) for i, c in active if c.penalty is not None]
        assert covered(round_.penalties) == expected
        assert slots_of(round_.noisy) == [i for i, c in active if c.instance_noise > 0]
        averaged = [i for i, c in active if c.ema_half_life_images is not None]
        assert slots_of(round_.averaged) == averaged


@every_mix
def test_a_penalty_is_taken_of_one_module(configs):
    for round_ in schedule(configs).rounds:
        for _, part in round_.penalties:
            assert len(round_.norms_of(part)) == 1


@every_mix
def test_the_norms_of_a_part_are_those_of_its_members(configs):
    for round_ in schedule(configs).rounds:
        for start in range(round_.members):
            for stop in range(start + 1, round_.members + 1):
                own = covered(round_.norms_of(slice(start, stop)))
                assert own == [(i, configs[i].d_norm) for i in range(start, stop)]


SIGNATURE = [
    lambda c: c.d_steps,
    lambda c: c.d_norm,
    lambda c: c.penalty,
    lambda c: c.loss.adversarial,
    lambda c: c.instance_noise > 0,
    lambda c: c.ema_half_life_images is not None,
]


@every_mix
def test_who_agrees_so_far_stands_together(configs):
    # At every depth of the signature there are as many runs as there are different values.
    for depth in range(1, len(SIGNATURE) + 1):
        values = [tuple(of(c) for of in SIGNATURE[:depth]) for c in configs]
        runs = 1 + sum(a != b for a, b in pairwise(values))
        assert runs == len(set(values))


@every_mix
def test_neighbours_of_one_kind_share_a_slice_and_nothing_is_cut_finer_than_needed(configs):
    for round_ in schedule(configs).rounds:
        active = configs[: round_.members]
        for parts in (round_.losses, round_.norms):
            assert all(a[0] is not b[0] for a, b in pairwise(parts))
        for depth, parts in ((2, round_.norms), (3, round_.penalties), (4, round_.losses)):
            kinds = {tuple(of(c) for of in SIGNATURE[:depth]) for c in active}
            assert len(parts) <= len(kinds)


def test_equal_d_steps_need_one_slice_for_each_penalty_and_each_loss_under_it():
    configs = sorted([GanConfig(loss=loss) for loss in list(LossVariant) * 3], key=order_key)
    (only,) = schedule(configs).rounds
    assert sorted(kind for kind, _ in only.penalties) == sorted(Penalty)
    assert all(part.stop - part.start == 3 for _, part in only.penalties)
    # Six losses without a penalty and five with one, of which neighbours may share a slice.
    assert len(only.losses) <= 11
    assert only.norms == ((Normalisation.NONE, slice(0, 33)),)
    assert only.noisy == only.averaged == ()


def test_the_order_does_not_depend_on_what_a_slice_does_not():
    a = GanConfig(seed=1, lr_g=1e-3, latent_dim=3, label_smoothing=0.1, lr_schedule="linear")
    b = GanConfig(seed=2, lr_d=1e-5, latent_dim=9, beta1=0.0)
    assert order_key(a) == order_key(b)
    assert order_key(a) != order_key(GanConfig(d_steps=2))
    assert len({order_key(GanConfig(loss=loss)) for loss in LossVariant}) == len(LossVariant)


def test_nobody_means_no_rounds():
    assert schedule([]).rounds == ()
