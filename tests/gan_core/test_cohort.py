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


DIMS = [8, 3, 5, 1, 7, 2]


def mix():
    """Six, with every normalisation, some averages, some noise and two numbers of D steps."""
    recipes = [
        {"loss": "minimax", "d_norm": "batch"},
        {"loss": "hinge", "d_norm": "spectral", "ema_half_life_images": 300.0},
        {"loss": "r3gan", "instance_noise": 0.1},
        {"loss": "wgan-gp", "d_norm": "layer", "ema_half_life_images": 900.0},
        {"loss": "wgan"},
        {"loss": "lsgan", "d_norm": "spectral", "penalty": "r1"},
    ]
    return [
        gan(i, latent_dim=DIMS[i], d_steps=[1, 2][i % 2], **recipe)
        for i, recipe in enumerate(recipes)
    ]


def variants():
    return [gan(i, loss=loss, latent_dim=1 + i % 8) for i, loss in enumerate(LossVariant)]


def filled(members, slots=None, **values):
    cohort = Cohort(config(**values), SHAPE, slots=slots or len(members))
    return cohort, cohort.admit(members)


def plain(member, cohort):
    """The member's (G, D) as ordinary modules."""
    own = member.config
    players = build(cohort.config, own.latent_dim, cohort.sample_shape, seed=999, d_norm=own.d_norm)
    for module, state in zip(players, cohort.export(member, average=True), strict=True):
        module.to(cohort.dtype).load_state_dict(state)
        module.eval()
    return players


def numbers_of(cohort, member):
    """All that is one member's own, wherever it stands."""
    slot = cohort.slot(member)
    kind = member.config.d_norm.value
    everything = {
        f"{player}.{name}": tensor[slot]
        for player, stack in (("G", cohort.G), ("D", cohort.D))
        for name, tensor in stack.state().items()
        # Buffers of kinds that the member is not of are nobody's.
        if "." not in name or name.startswith(f"{kind}.")
    }
    everything |= {name: value[slot] for name, value in cohort.values.items()}
    return {name: row.clone() for name, row in everything.items()}


def same(a, b):
    """Bitwise; of rows of different lengths, as far as the shorter one goes."""
    assert a.keys() == b.keys()
    for x, y in ((a[name].nan_to_num(7), b[name].nan_to_num(7)) for name in a):
        if x.shape != y.shape:
            x, y = x[: len(y)], y[: len(x)]
        if not torch.equal(x, y):
            return False
    return True


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
        players = build(cohort.config, own.latent_dim, SHAPE, own.seed, d_norm=own.d_norm)
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


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_of_rates_needs_its_length(schedule):
    cohort, _ = filled([], slots=1)
    message = refused(ConfigError, cohort.admit, [gan(0, lr_schedule=schedule)])
    assert message == f'lr_schedule = "{schedule}": needs CohortConfig.schedule_steps'
    cohort, _ = filled([gan(0, lr_schedule=schedule)], schedule_steps=10)
    assert len(cohort.members) == 1


def test_conditional_networks_need_classes():
    message = refused(ConfigError, lambda: Cohort(config(conditional=True), SHAPE, slots=1))
    assert message == "conditional = True: needs a dataset with labels"
    assert Cohort(config(), SHAPE, slots=1, classes=10).classes == 0


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
    cohort.admit([gan(50, d_steps=4), gan(51, loss="wgan", d_steps=3), gan(52, d_norm="spectral")])
    assert all(same(numbers_of(cohort, h), b) for h, b in zip(stay, before, strict=True))
    assert [cohort.slot(h) for h in stay] != slots


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_members_of_other_kinds_change_no_bit_of_ones_training(digits, precision):
    # Two at least: a product of one member alone takes another kernel, which rounds otherwise;
    # and widths of 8, so that all slots' products are aligned alike.
    shared = {"precision": precision, "generator_widths": (8, 24), "discriminator_widths": (16, 8)}
    own = [gan(i, loss="hinge", ema_half_life_images=500.0, latent_dim=5 + i) for i in (1, 2)]
    alone, lone = filled(own, **shared)
    cohort, members = filled(own, slots=4, **shared)
    first = [run_interval(c, digits, 3) for c in (alone, cohort)]
    width = cohort.D.parameters.shape[1]
    cohort.admit([gan(2, d_norm="batch"), gan(3, d_norm="layer", d_steps=2)])
    assert cohort.D.parameters.shape[1] > width
    last = [run_interval(c, digits, 3) for c in (alone, cohort)]
    for a, b in zip(lone, members, strict=True):
        assert same(numbers_of(alone, a), numbers_of(cohort, b))
        for records in (first, last):
            by_member = {r.member: r.statistics for part in records for r in part}
            assert repr(by_member[a]) == repr(by_member[b])


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_a_shorter_kind_leaves_of_its_row_stays_zero_under_training(digits, precision):
    cohort, handles = filled(mix(), precision=precision)
    run_interval(cohort, digits, 10)
    for handle in handles:
        slot, kind = cohort.slot(handle), handle.config.d_norm.value
        used = sum(-(-size.numel() // 16) * 16 for size in handle.d_shapes.values())
        assert cohort.values["alive"][slot]
        assert (used < cohort.D.parameters.shape[1]) is (kind in ("none", "spectral"))
        for name in ("parameters", "moment1", "moment2", "average"):
            assert not getattr(cohort.D, name)[slot, used:].any()


def test_a_newcomer_is_fresh_whoever_stood_there_before(digits):
    cohort, (old,) = filled([gan(1, lr_d=1e200, loss="lsgan")])
    (record,) = run_interval(cohort, digits, 2)
    assert record.diverged_step is not None
    cohort.evict([old])
    own = gan(2, loss="hinge", d_norm="spectral", ema_half_life_images=100.0)
    (new,) = cohort.admit([own])
    reference, (fresh,) = filled([own])
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
        for flat in (stack.parameters, stack.moment1, stack.moment2, stack.average):
            for name, tensor in stack.tensors("", flat[slot : slot + 1]).items():
                beyond = tensor[0].clone()
                beyond[tuple(slice(size) for size in shapes[name])] = 0
                assert not beyond.any()
    widths = {h.g_shapes["layers.0.weight"][1] for h in handles}
    assert widths == {8, 3, 5, 1, 7, 2}


def test_an_export_put_back_is_the_same_row(digits):
    cohort, handles = filled(mix())
    run_interval(cohort, digits, 3)
    for handle in handles:
        slot, own = cohort.slot(handle), handle.config
        players = build(cohort.config, own.latent_dim, SHAPE, seed=99, d_norm=own.d_norm)
        kinds = zip((cohort.G, cohort.D), ("", own.d_norm.value), strict=True)
        for (stack, kind), state, module in zip(kinds, cohort.export(handle), players, strict=True):
            row = {
                name: tensor[slot].clone()
                for name, tensor in stack.state().items()
                if name == "parameters" or name.startswith(f"{kind}.")
            }
            stack.parameters[slot] = 9
            module.load_state_dict(state)
            stack.admit(kind, slot, module)
            assert all(torch.equal(stack.state()[name][slot], old) for name, old in row.items())


def test_without_an_average_the_weights_are_exported_whatever_is_asked_for(digits):
    cohort, (plain, kept) = filled([gan(1), gan(2, ema_half_life_images=200.0)])
    run_interval(cohort, digits, 3)
    for handle in (plain, kept):
        (own, _), (average, _) = (cohort.export(handle, average=a) for a in (False, True))
        assert all(torch.equal(own[name], average[name]) for name in own) is (handle is plain)


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
        # Of a member that keeps an average these are the average's.
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


def test_conditional_samples_go_round_the_classes(digits):
    own = config(conditional=True, precision="float64")
    cohort = Cohort(own, digits.sample_shape, slots=2, classes=10)
    member, shorter = cohort.admit([gan(1), gan(2, latent_dim=5)])
    run_interval(cohort, digits, 3)
    images = cohort.generate([member, shorter], 25)
    for handle, drawn in ((member, images[0]), (shorter, images[1])):
        dim, seed, zero = handle.config.latent_dim, handle.config.seed, torch.tensor([0])
        key = stream_key(torch.tensor([seed]), Purpose.EVALUATION, zero, zero)
        z = latents(
            key, 25, dim, noise=own.noise, lengths=torch.tensor([dim]), dtype=torch.float64
        )[0]
        G = build(own, dim, SHAPE, seed=9, classes=10)[0].double()
        G.load_state_dict(cohort.export(handle)[0])
        labels = torch.tensor([i % 10 for i in range(25)])
        torch.testing.assert_close(drawn, G(z, labels).detach(), rtol=0, atol=1e-13)
        assert not torch.allclose(drawn, G(z, (labels + 1) % 10), atol=1e-6)


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
def test_a_users_network_with_buffers_is_trained_as_it_would_be_alone(solo, digits):
    own = config(architecture="padded_players:buffered", precision="float64")
    members = [gan(3), gan(4, loss="lsgan", d_steps=2)]
    cohort = Cohort(own, SHAPE, slots=2)
    handles = cohort.admit(members)
    run_interval(cohort, digits, 5)
    for member, handle in zip(members, handles, strict=True):
        alone = solo(member, own, digits, 5)
        state = cohort.export(handle)[0]
        assert state["1.num_batches_tracked"] == 5 * member.d_steps
        for name, tensor in alone.G.state_dict().items():
            torch.testing.assert_close(state[name], tensor, rtol=0, atol=1e-9)


def test_an_empty_cohort_is_in_order(digits):
    cohort, _ = filled([], slots=2)
    assert run_interval(cohort, digits, 3) == []
    assert cohort.schedule.rounds == ()
    cohort.evict([])
