import random
from itertools import pairwise

import pytest

from gan_core.config import GanConfig, LossVariant, Penalty
from gan_core.schedule import order_key, schedule


def random_mix(seed):
    draw = random.Random(seed)
    losses = draw.sample(list(LossVariant), draw.randint(1, 6))
    configs = [
        GanConfig(seed=i, loss=draw.choice(losses), d_steps=draw.choice([1, 1, 2, 3, 5]))
        for i in range(draw.randint(1, 20))
    ]
    return sorted(configs, key=order_key)


MIXES = [random_mix(seed) for seed in range(60)]
MIXES += [[GanConfig(loss=loss)] for loss in LossVariant]


def covered(parts):
    """Each slot that the parts name with what it is named with, in order."""
    return [(slot, what) for what, part in parts for slot in range(part.start, part.stop)]


@pytest.mark.parametrize("configs", MIXES)
def test_every_member_takes_part_in_its_own_d_steps_rounds_and_in_the_last(configs):
    rounds = schedule(configs).rounds
    for slot, config in enumerate(configs):
        taken = [round_.index for round_ in rounds if slot < round_.members]
        assert taken == list(range(len(rounds)))[-config.d_steps :]
    assert rounds[-1].members == len(configs)


@pytest.mark.parametrize("configs", MIXES)
def test_no_round_is_without_members_and_there_are_no_more_than_needed(configs):
    rounds = schedule(configs).rounds
    assert len(rounds) == max(config.d_steps for config in configs)
    assert [round_.index for round_ in rounds] == list(range(len(rounds)))
    assert rounds[0].members > 0
    assert all(a.members <= b.members for a, b in pairwise(rounds))


@pytest.mark.parametrize("configs", MIXES)
def test_a_rounds_losses_cover_its_members_exactly_and_each_has_its_own(configs):
    for round_ in schedule(configs).rounds:
        expected = [(i, c.loss.adversarial) for i, c in enumerate(configs[: round_.members])]
        assert covered(round_.losses) == expected


@pytest.mark.parametrize("configs", MIXES)
def test_penalties_are_paid_by_those_who_have_one_and_no_others(configs):
    for round_ in schedule(configs).rounds:
        expected = [
            (i, c.loss.penalty)
            for i, c in enumerate(configs[: round_.members])
            if c.loss.penalty is not None
        ]
        assert covered(round_.penalties) == expected


@pytest.mark.parametrize("configs", MIXES)
def test_neighbours_of_one_kind_share_a_slice(configs):
    for round_ in schedule(configs).rounds:
        assert all(a[0] is not b[0] for a, b in pairwise(round_.losses))
        depths = {configs[part.start].d_steps for _, part in round_.losses}
        assert len(round_.losses) <= len(depths) * len({c.loss.adversarial for c in configs})


def test_equal_d_steps_need_one_slice_for_each_loss_and_penalty():
    configs = sorted([GanConfig(loss=loss) for loss in list(LossVariant) * 3], key=order_key)
    (only,) = schedule(configs).rounds
    # Six recipes of five adversarial losses: wgan and wgan-gp share theirs unless others part them.
    assert len(only.losses) in (5, 6)
    assert sorted(kind for kind, _ in only.penalties) == [Penalty.CLIP, Penalty.WGAN_GP]
    assert all(part.stop - part.start == 3 for _, part in only.penalties)


def test_the_order_does_not_depend_on_what_a_slice_does_not():
    a = GanConfig(seed=1, lr_g=1e-3, latent_dim=3, label_smoothing=0.1)
    b = GanConfig(seed=2, lr_d=1e-5, latent_dim=9, beta1=0.0)
    assert order_key(a) == order_key(b)
    assert order_key(a) != order_key(GanConfig(d_steps=2))
    assert len({order_key(GanConfig(loss=loss)) for loss in LossVariant}) == len(LossVariant)


def test_nobody_means_no_rounds():
    assert schedule([]).rounds == ()
