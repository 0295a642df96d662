import textwrap

import pytest
import torch

from gan_core.cohort import Cohort
from gan_core.config import CohortConfig, ConfigError, GanConfig, LossVariant, Noise
from gan_core.loop import run_interval
from gan_core.networks.catalog import build
from gan_core.noise import Purpose, latents, stream_key

SHAPE = (1, 8, 8)
# Odd widths, so that tensors do not fill whole registers; a batch of 32, so that draws do.
SMALL = {
    "generator_widths": (9, 11),
    "discriminator_widths": (13, 7),
    "latent_dim": 8,
    "batch_size": 32,
}


def config(**values):
    return CohortConfig(**(SMALL | values))


def gan(seed, **values):
    return GanConfig(seed=seed, **({"latent_dim": 8} | values))


def mix():
    dims = [8, 3, 5, 1, 7, 2]
    return [
        gan(i, loss=loss, latent_dim=dims[i], d_steps=[1, 2][i % 2])
        for i, loss in enumerate(LossVariant)
    ]


def filled(members, slots=None, **values):
    cohort = Cohort(config(**values), SHAPE, slots=slots or len(members))
    return cohort, cohort.admit(members)


def plain(member, cohort):
    """The member's (G, D) as ordinary modules."""
    players = build(cohort.config, member.config.latent_dim, cohort.sample_shape, seed=999)
    for module, state in zip(players, cohort.export(member), strict=True):
        module.to(cohort.dtype).load_state_dict(state)
    return players


def numbers_of(cohort, member):
    """All that is one member's own, wherever it stands."""
    slot = cohort.slot(member)
    rows = [
        flat[slot]
        for stack in (cohort.G, cohort.D)
        for flat in (stack.parameters, stack.moment1, stack.moment2)
    ]
    return [row.clone() for row in rows + [value[slot] for value in cohort.values.values()]]


def same(a, b):
    return all(torch.equal(x.nan_to_num(7), y.nan_to_num(7)) for x, y in zip(a, b, strict=True))


def refused(kind, call, *arguments):
    with pytest.raises(kind) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_handles_come_in_the_order_asked_for_and_name_their_slots():
    members = mix()
    cohort, handles = filled(members, slots=8)
    assert [handle.config for handle in handles] == members
    assert sorted(cohort.slot(h) for h in handles) == list(range(6))
    assert [cohort.members[cohort.slot(h)] for h in handles] == handles


def test_each_slot_holds_its_own_members_values():
    cohort, handles = filled(mix())
    for handle in handles:
        slot, own = cohort.slot(handle), handle.config
        for name in ("seed", "latent_dim", "d_steps", "lr_g", "lr_d", "beta1", "beta2"):
            assert cohort.values[name][slot].item() == getattr(own, name)
        assert cohort.values["alive"][slot]
        assert cohort.values["step"][slot] == cohort.values["d_updates"][slot] == 0


def test_a_fresh_member_is_the_plain_module_of_its_seed():
    cohort, handles = filled(mix())
    for handle in handles:
        own = handle.config
        players = build(cohort.config, own.latent_dim, SHAPE, own.seed)
        for module, state in zip(players, cohort.export(handle), strict=True):
            assert state.keys() == module.state_dict().keys()
            assert all(torch.equal(state[n], p) for n, p in module.state_dict().items())


def test_more_members_than_free_slots_are_refused_and_nothing_changes():
    cohort, handles = filled(mix()[:2], slots=3)
    message = refused(ValueError, cohort.admit, [gan(7), gan(8)])
    assert message == "2 members for 1 free of 3 slots"
    assert set(cohort.members) == set(handles)


def test_a_latent_dimension_beyond_the_cohorts_is_refused():
    cohort, _ = filled([], slots=1)
    message = refused(ConfigError, cohort.admit, [gan(0, latent_dim=9)])
    assert message == "latent_dim = 9: must be at most the cohort's 8"
    assert cohort.members == ()
    cohort.admit([gan(0)])


def test_a_member_that_left_has_no_slot():
    cohort, handles = filled(mix())
    cohort.evict(handles[2:4])
    assert len(cohort.members) == 4
    for call in (cohort.slot, cohort.export, lambda m: cohort.evict([m])):
        assert refused(ValueError, call, handles[2]).startswith("not in this cohort: Member(")
    assert sorted(cohort.slot(h) for h in (*handles[:2], *handles[4:])) == list(range(4))


def test_equal_configs_are_still_two_members():
    cohort, (first, second) = filled([gan(1), gan(1)])
    assert cohort.slot(first) != cohort.slot(second)
    cohort.evict([first])
    assert cohort.slot(second) == 0


def test_coming_and_going_never_changes_the_numbers_of_those_who_stay(digits):
    cohort, handles = filled(mix(), slots=8)
    run_interval(cohort, digits, 2)
    stay = [handles[i] for i in (0, 3, 4)]
    before = [numbers_of(cohort, h) for h in stay]
    slots = [cohort.slot(h) for h in stay]
    for leaving in ([handles[1]], [handles[2], handles[5]]):
        cohort.evict(leaving)
        assert all(same(numbers_of(cohort, h), b) for h, b in zip(stay, before, strict=True))
    cohort.admit([gan(50, d_steps=4), gan(51, loss="wgan", d_steps=3), gan(52)])
    assert all(same(numbers_of(cohort, h), b) for h, b in zip(stay, before, strict=True))
    assert [cohort.slot(h) for h in stay] != slots


def test_a_newcomer_is_fresh_whoever_stood_there_before(digits):
    cohort, (old,) = filled([gan(1, lr_d=1e200, loss="lsgan")])
    (record,) = run_interval(cohort, digits, 2)
    assert record.diverged_step is not None
    cohort.evict([old])
    (new,) = cohort.admit([gan(2, loss="hinge")])
    reference, (fresh,) = filled([gan(2, loss="hinge")])
    assert same(numbers_of(cohort, new), numbers_of(reference, fresh))
    for trained in (cohort, reference):
        run_interval(trained, digits, 3)
    assert same(numbers_of(cohort, new), numbers_of(reference, fresh))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_who_takes_a_diverged_members_place_does_not_inherit_its_end(digits, precision):
    # The explosion at the interval's last step leaves NaN in scratch memory.
    cohort, handles = filled([gan(0), gan(1, lr_d=1e308), gan(2)], precision=precision)
    run_interval(cohort, digits, 1)
    cohort.evict([handles[1]])
    records = run_interval(cohort, digits, 3)
    assert [record.diverged_step for record in records] == [None, None]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("noise", list(Noise))
def test_padding_stays_exactly_zero_under_training(digits, noise, precision):
    cohort, handles = filled(mix(), noise=noise, precision=precision)
    run_interval(cohort, digits, 10)
    for handle in handles:
        slot = cohort.slot(handle)
        assert cohort.values["alive"][slot]
        stack, shapes = cohort.G, handle.g_shapes
        for flat in (stack.parameters, stack.moment1, stack.moment2):
            for name, tensor in stack.tensors(flat[slot : slot + 1]).items():
                beyond = tensor[0].clone()
                beyond[tuple(slice(size) for size in shapes[name])] = 0
                assert not beyond.any()
    widths = {h.g_shapes["layers.0.weight"][1] for h in handles}
    assert widths == {8, 3, 5, 1, 7, 2}


def test_an_export_put_back_is_the_same_row(digits):
    cohort, handles = filled(mix())
    run_interval(cohort, digits, 3)
    for handle in handles:
        slot = cohort.slot(handle)
        for stack, state in zip((cohort.G, cohort.D), cohort.export(handle), strict=True):
            row = stack.parameters[slot].clone()
            stack.parameters[slot] = 9
            stack.admit(slot, state)
            assert torch.equal(stack.parameters[slot], row)


@pytest.mark.parametrize("noise", list(Noise))
@pytest.mark.parametrize(("precision", "atol"), [("float64", 1e-13), ("float32", 1e-5)])
def test_an_export_loaded_into_plain_modules_generates_the_same_images(
    digits, noise, precision, atol
):
    # atol: rounding of three layers' sums, taken in another order.
    cohort, handles = filled(mix(), noise=noise, precision=precision)
    run_interval(cohort, digits, 3)
    images = cohort.generate(handles, 10)
    for handle, fused in zip(handles, images, strict=True):
        seed, zero = torch.tensor([handle.config.seed]), torch.tensor([0])
        dim = handle.config.latent_dim
        z = latents(
            stream_key(seed, Purpose.EVALUATION, zero, zero),
            10,
            dim,
            noise=noise,
            lengths=torch.tensor([dim]),
            dtype=cohort.dtype,
        )[0]
        G, D = plain(handle, cohort)
        torch.testing.assert_close(fused, G(z).detach(), rtol=0, atol=atol)
        assert D(fused).shape == (10,)


def test_samples_are_fixed_by_the_seed_whoever_else_is_there():
    members = mix()
    cohort, handles = filled(members)
    images = cohort.generate(handles, 6)
    assert images.shape == (6, 6, *SHAPE)
    assert images.abs().max() <= 1
    assert torch.equal(images, cohort.generate(handles, 6))
    assert torch.equal(images[[4, 1]], cohort.generate([handles[4], handles[1]], 6))
    # Of another size a product may take another kernel, which rounds otherwise.
    more = cohort.generate(handles, 9)
    torch.testing.assert_close(more[:, :6], images, rtol=0, atol=1e-5)
    alone, own = filled([members[3]])
    torch.testing.assert_close(alone.generate(own, 6)[0], images[3], rtol=0, atol=1e-5)


def test_other_seeds_give_other_samples():
    cohort, handles = filled([gan(1), gan(2)])
    first, second = cohort.generate(handles, 4)
    assert not torch.allclose(first, second, atol=1e-3)


def test_nobody_generates_nothing():
    cohort, _ = filled([gan(1)])
    assert cohort.generate([], 4).shape == (0, 4, *SHAPE)


def test_generating_leaves_training_as_it_was(digits):
    looked, (a,) = filled([gan(1)])
    unseen, (b,) = filled([gan(1)])
    for cohort in (looked, unseen):
        run_interval(cohort, digits, 2)
        if cohort is looked:
            cohort.generate([a], 50)
        run_interval(cohort, digits, 2)
    assert same(numbers_of(looked, a), numbers_of(unseen, b))


PLAYERS = """
    import torch
    from torch import nn

    class G(nn.Module):
        def __init__(self, latent_dim, kind):
            super().__init__()
            self.kind = kind
            self.first = nn.Linear(latent_dim, latent_dim if kind == "leaky" else 6)
            self.last = nn.Linear(self.first.out_features, 64)

        def forward(self, z):
            if self.kind == "normalised":
                z = z / z.square().mean(dim=1, keepdim=True).sqrt()
            return self.last(self.first(z).sigmoid()).tanh().unflatten(1, (1, 8, 8))

    class D(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(64, 1)
            self.norm = None

        def forward(self, x):
            return self.last(x.flatten(1))[:, 0]

    def sound(latent_dim, shape):
        return G(latent_dim, "sound"), D()

    def normalised(latent_dim, shape):
        return G(latent_dim, "normalised"), D()

    def leaky(latent_dim, shape):
        return G(latent_dim, "leaky"), D()

    def buffered(latent_dim, shape):
        return nn.Sequential(G(latent_dim, "sound"), nn.BatchNorm2d(1)), D()
"""


@pytest.fixture
def users_players(tmp_path, monkeypatch):
    (tmp_path / "padded_players.py").write_text(textwrap.dedent(PLAYERS))
    monkeypatch.syspath_prepend(str(tmp_path))


# normalised: the padded generator differs at once. leaky: its hidden width follows z, so the
# padded units answer sigmoid(0) = 1/2, unseen at first, and their weights would be trained.
@pytest.mark.parametrize("kind", ["normalised", "leaky"])
@pytest.mark.usefixtures("users_players")
def test_a_generator_that_padding_would_change_is_refused_with_the_reason(kind):
    architecture = f"padded_players:{kind}"
    cohort = Cohort(config(architecture=architecture), SHAPE, slots=2)
    cohort.admit([gan(0)])
    for _ in range(2):  # the answer does not depend on having asked
        assert refused(ConfigError, cohort.admit, [gan(1, latent_dim=5)]) == (
            f'model.architecture = "{architecture}": is not linear in z at first, so latent '
            "dimensions cannot be mixed: fix one"
        )
    assert len(cohort.members) == 1


@pytest.mark.parametrize("kind", ["normalised", "leaky"])
@pytest.mark.usefixtures("users_players")
def test_such_a_generator_is_welcome_where_nothing_is_padded(kind, solo, digits):
    own = config(architecture=f"padded_players:{kind}", precision="float64")
    cohort = Cohort(own, SHAPE, slots=1)
    (handle,) = cohort.admit([gan(3)])
    run_interval(cohort, digits, 4)
    alone = solo(gan(3), own, digits, 4)
    for name, parameter in alone.G.state_dict().items():
        torch.testing.assert_close(cohort.export(handle)[0][name], parameter, rtol=0, atol=1e-11)


@pytest.mark.usefixtures("users_players")
def test_a_generator_that_is_linear_in_z_at_first_may_be_padded():
    cohort = Cohort(config(architecture="padded_players:sound"), SHAPE, slots=2)
    assert len(cohort.admit([gan(1, latent_dim=5), gan(2, latent_dim=1)])) == 2


@pytest.mark.usefixtures("users_players")
def test_a_network_with_buffers_is_refused():
    architecture = config(architecture="padded_players:buffered")
    message = refused(ConfigError, lambda: Cohort(architecture, SHAPE, slots=1))
    assert message == (
        'model.architecture = "Sequential": has buffers (1.running_mean, 1.running_var, '
        "1.num_batches_tracked), which a cohort cannot hold"
    )


def test_an_empty_cohort_is_in_order(digits):
    cohort, _ = filled([], slots=2)
    assert run_interval(cohort, digits, 3) == []
    assert cohort.schedule.rounds == ()
    cohort.evict([])
