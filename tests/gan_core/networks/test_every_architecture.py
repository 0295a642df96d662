"""What a cohort asks of any network. A new architecture is tested by a line in `SHAPES`."""

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch.func import functional_call
from torch.nn.functional import pad

from gan_core.config import Architecture, CohortConfig, Normalisation
from gan_core.networks.catalog import build

SHAPES = {
    Architecture.MLP: [(1, 8, 8), (2,)],
    Architecture.MLP_BN: [(1, 8, 8)],
    Architecture.DCGAN: [(3, 8, 8)],
    Architecture.SN_RESNET: [(2, 32, 32)],
    Architecture.STYLEGAN: [(2, 16, 16)],
}
NORMS = {Architecture.STYLEGAN: [Normalisation.NONE]}
CLASSES, LATENT, BATCH, MEMBERS = 3, 5, 4, 3

# Sums of a few hundred float64 terms of order 1, in another order.
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Case:
    architecture: Architecture
    shape: tuple[int, ...]
    norm: Normalisation
    conditional: bool

    def __str__(self):
        kind = "conditional" if self.conditional else "plain"
        return f"{self.architecture}-{len(self.shape)}d-{self.norm}-{kind}"

    def build(self, seed=0, latent_dim=LATENT):
        """(G, D) in float64, every parameter moved off the special value it may start at."""
        config = CohortConfig(
            architecture=self.architecture.value,
            generator_widths=(6, 7),
            discriminator_widths=(7, 6),
            channels=2,
            conditional=self.conditional,
        )
        players = build(config, latent_dim, self.shape, seed, d_norm=self.norm, classes=CLASSES)
        stream = torch.Generator().manual_seed(seed)
        for module in players:
            module.double()
            for parameter in module.parameters():
                shift = torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
                parameter.data += 0.1 * shift
        return players

    def labels(self, *size):
        return (torch.randint(CLASSES, size),) if self.conditional else ()

    def g_inputs(self, G, *size, latent_dim=LATENT):
        z = torch.randn(*size, latent_dim, dtype=torch.float64)
        numel = getattr(G, "noise_numel", 0)
        noise = (torch.randn(*size, numel, dtype=torch.float64),) if numel else ()
        return z, *self.labels(*size), *noise

    def d_inputs(self, *size):
        return torch.rand(*size, *self.shape, dtype=torch.float64) * 2 - 1, *self.labels(*size)


def cases(**fixed):
    """Every combination, or those with these values."""
    found = [
        Case(architecture, shape, norm, conditional)
        for architecture, shapes in SHAPES.items()
        for shape, norm, conditional in itertools.product(
            shapes, NORMS.get(architecture, list(Normalisation)), (False, True)
        )
    ]
    return [c for c in found if all(getattr(c, k) == v for k, v in fixed.items())]


def over(kept):
    return pytest.mark.parametrize("case", kept, ids=str)


def over_players(**fixed):
    """Each D, and each G once: it does not depend on D's normalisation."""
    kept = [(c, 0) for c in cases(**fixed) if c.norm is Normalisation.NONE]
    kept += [(c, 1) for c in cases(**fixed)]
    ids = [f"{'GD'[player]}-{c}" for c, player in kept]
    return pytest.mark.parametrize(("case", "player"), kept, ids=ids)


every_case = over(cases())
every_generator = over(cases(norm=Normalisation.NONE))
every_player = over_players()


def members(case, player):
    return [case.build(seed)[player] for seed in range(MEMBERS)]


def gradients(y, wanted):
    return torch.autograd.grad(y.square().sum(), wanted, retain_graph=True, materialize_grads=True)


def penalty_gradients(y, x, wanted):
    """Of sum over samples of |grad D(x)|^2, with a square so that affine networks have some."""
    (slope,) = torch.autograd.grad((y + y.square()).sum(), x, create_graph=True)
    return torch.autograd.grad(slope.square().sum(), wanted, materialize_grads=True)


def assert_close(a, b):
    torch.testing.assert_close(a, b, rtol=TOLERANCE, atol=TOLERANCE)


def test_every_architecture_is_listed():
    assert set(SHAPES) == set(Architecture)


@every_case
@pytest.mark.parametrize("batch", [2, 3])
def test_shapes_and_range_are_as_promised(case, batch):
    G, D = case.build()
    samples = G(*case.g_inputs(G, batch))
    assert samples.shape == (batch, *case.shape)
    assert D(samples, *case.labels(batch)).shape == (batch,)
    z, *others = case.g_inputs(G, batch)
    far = G(z * 1e4, *others).abs().max()
    assert far > 1 if len(case.shape) == 1 else far <= 1


@every_generator
@pytest.mark.parametrize("training", [True, False])
def test_generators_fused_are_each_alone(case, training, stack):
    fused = stack(members(case, 0))
    fused.train(training)
    inputs = case.g_inputs(fused.modules[0], MEMBERS, BATCH)
    samples, alone = fused(*inputs), fused.alone(*inputs)
    assert_close(samples, torch.stack(alone))
    ours = gradients(samples, list(fused.parameters.values()))
    for k, module in enumerate(fused.modules):
        theirs = gradients(alone[k], list(module.parameters()))
        for one, other in zip(ours, theirs, strict=True):
            assert_close(one[k], other)
    fused.assert_buffers_alike()


@every_case
@pytest.mark.parametrize("training", [True, False])
def test_discriminators_fused_are_each_alone(case, training, stack):
    fused = stack(members(case, 1))
    fused.train(training)
    x, *labels = case.d_inputs(MEMBERS, BATCH)
    x.requires_grad_()
    own = [x[k].detach().requires_grad_() for k in range(MEMBERS)]
    logits = fused(x, *labels)
    alone = [m(own[k], *(y[k] for y in labels)) for k, m in enumerate(fused.modules)]
    assert_close(logits, torch.stack(alone))
    leaves = list(fused.parameters.values())
    ours = [gradients(logits, [x, *leaves])]
    penalised = case.norm is not Normalisation.BATCH
    if penalised:
        ours.append(penalty_gradients(logits, x, leaves))
    for k, module in enumerate(fused.modules):
        own_leaves = list(module.parameters())
        theirs = [gradients(alone[k], [own[k], *own_leaves])]
        if penalised:
            theirs.append(penalty_gradients(alone[k], own[k], own_leaves))
        for kind, other_kind in zip(ours, theirs, strict=True):
            for one, other in zip(kind, other_kind, strict=True):
                assert_close(one[k], other)
    fused.assert_buffers_alike()


@every_player
def test_one_after_another_is_fused_and_both_write_to_the_stacks_own_buffers(case, player, stack):
    modules = members(case, player)
    fused, looped = stack(modules), stack(modules)
    before = {name: t.clone() for name, t in fused.buffers.items()}
    for _ in range(2):
        inputs = (
            case.d_inputs(MEMBERS, BATCH) if player else case.g_inputs(modules[0], MEMBERS, BATCH)
        )
        assert_close(fused(*inputs), looped.loop(*inputs))
        fused.alone(*inputs)
    fused.assert_buffers_alike()
    looped.assert_buffers_alike()
    unchanged = [name for name, old in before.items() if torch.equal(old, fused.buffers[name])]
    # The first singular vector of a matrix of one row is 1 for ever.
    assert all(before[name].shape == (MEMBERS, 1) for name in unchanged)


@every_player
def test_eval_mode_leaves_buffers_and_samples_to_themselves(case, player):
    module = case.build()[player]
    inputs = case.d_inputs(5) if player else case.g_inputs(module, 5)
    module(*inputs)
    module.eval()
    before = {name: t.clone() for name, t in module.named_buffers()}
    together = module(*inputs)
    for row in range(5):
        one = module(*(x[row : row + 1] for x in inputs))
        assert_close(one[0], together[row])
    assert torch.equal(module(*inputs), together)
    for name, t in module.named_buffers():
        assert torch.equal(t, before[name])


@every_case
def test_samples_meet_in_d_through_batch_statistics_alone(case):
    D = case.build()[1]
    x, *labels = case.d_inputs(4)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(D(x, *labels)[2], x)
    touched = slope.flatten(1).abs().amax(dim=1) > 0
    meets = case.norm is Normalisation.BATCH
    assert touched.tolist() == [meets, meets, True, meets]


@every_generator
def test_a_shorter_z_padded_with_zeros_is_the_shorter_z(case):
    short, long = case.build(latent_dim=2)[0], case.build(latent_dim=LATENT)[0]
    shapes = {name: p.shape for name, p in short.named_parameters()}
    leaves = {}
    for name, parameter in long.named_parameters():
        leaf = torch.zeros_like(parameter)
        leaf[tuple(slice(n) for n in shapes[name])] = dict(short.named_parameters())[name].detach()
        leaves[name] = leaf.requires_grad_()
    assert sum(leaves[name].shape != shape for name, shape in shapes.items()) == 1
    z, *others = case.g_inputs(short, BATCH, latent_dim=2)
    padded = functional_call(long, leaves, (pad(z, (0, LATENT - 2)), *others))
    assert_close(padded, short(z, *others))
    for name, slope in zip(leaves, gradients(padded, list(leaves.values())), strict=True):
        corner = tuple(slice(n) for n in shapes[name])
        assert slope.count_nonzero() == slope[corner].count_nonzero()


@over_players(conditional=True)
def test_labels_are_heard_sample_by_sample(case, player):
    module = case.build()[player].eval()
    first, _, *rest = case.d_inputs(3) if player else case.g_inputs(module, 3)
    a = module(first, torch.tensor([0, 1, 2]), *rest)
    b = module(first, torch.tensor([0, 2, 2]), *rest)
    changed = (a - b).view(3, -1).abs().amax(dim=1) > 1e-9
    assert changed.tolist() == [False, True, False]


@over_players(conditional=False)
def test_labels_that_nobody_asked_for_are_refused(case, player):
    module = case.build()[player]
    first, *rest = case.d_inputs(3) if player else case.g_inputs(module, 3)
    with pytest.raises(TypeError, match="labels for a network that was built without classes"):
        module(first, torch.tensor([0, 1, 2]), *rest)


@over_players(conditional=False)
def test_every_parameter_is_used(case, player):
    module = case.build()[player]
    inputs = case.d_inputs(BATCH) if player else case.g_inputs(module, BATCH)
    for slope in gradients(module(*inputs), list(module.parameters())):
        assert slope.count_nonzero() > 0
