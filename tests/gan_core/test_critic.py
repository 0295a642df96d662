import pytest
import torch

from gan_core.config import Normalisation
from gan_core.critic import Critic
from gan_core.networks.mlp import MlpDiscriminator
from gan_core.stack import Stack

SHAPE, BATCH, CLASSES = (1, 3, 3), 6, 4
NORMS = ["none", "none", "spectral", "batch", "batch", "layer"]
RUNS = [
    (Normalisation.NONE, slice(0, 2)),
    (Normalisation.SPECTRAL, slice(2, 3)),
    (Normalisation.BATCH, slice(3, 5)),
    (Normalisation.LAYER, slice(5, 6)),
]


def judges(classes=0, fused=True):
    """A stack of one D for each of `NORMS`, and the same as plain modules."""
    stack, modules = Stack(6, dtype=torch.float64, device="cpu", fused=fused), []
    with torch.random.fork_rng(devices=[]):
        for row, norm in enumerate(NORMS):
            torch.manual_seed(row)
            modules.append(
                MlpDiscriminator((5, 4), SHAPE, norm=Normalisation(norm), classes=classes).double()
            )
            if norm not in stack.kinds:
                template = MlpDiscriminator(
                    (5, 4), SHAPE, norm=Normalisation(norm), classes=classes
                )
                stack.add_kind(norm, template)
    for row, (norm, module) in enumerate(zip(NORMS, modules, strict=True)):
        stack.admit(norm, row, module)
    return stack, modules


def samples(members=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(members, BATCH, *SHAPE, generator=generator, dtype=torch.float64)


def close(a, b):
    # Rounding of sums of a few dozen products.
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("fused", [True, False])
def test_each_member_is_judged_by_its_own_module(fused):
    stack, modules = judges(fused=fused)
    x = samples()
    logits = Critic(stack, RUNS, None)(x)
    assert logits.shape == (6, BATCH)
    for row, module in enumerate(modules):
        close(logits[row], module(x[row]))


def test_a_part_of_the_members_is_judged_alike():
    stack, modules = judges()
    x = samples(3)
    runs = [(Normalisation.NONE, slice(1, 2)), RUNS[1], (Normalisation.BATCH, slice(3, 4))]
    logits = Critic(stack, runs, None)(x)
    for row in range(3):
        close(logits[row], modules[row + 1](x[row]))


def test_both_are_judged_in_one_pass_but_batch_statistics_are_of_one_kind_of_sample():
    stack, modules = judges()
    x, y = samples(seed=1), samples(seed=2)
    real, fake = Critic(stack, RUNS, None).judge_both(real=x, fake=y)
    for row, (norm, module) in enumerate(zip(NORMS, modules, strict=True)):
        if norm == "batch":
            a, b = module(x[row]), module(y[row])
        else:
            a, b = module(torch.cat((x[row], y[row]))).chunk(2)
        close(real[row], a)
        close(fake[row], b)
        # As many power iterations and running averages as passes.
        for name, buffer in module.named_buffers():
            close(stack.buffers(norm, slice(row, row + 1))[name][0], buffer)


@pytest.mark.parametrize("times", [1, 2])
def test_labels_go_with_their_samples_and_are_repeated_for_more(times):
    stack, modules = judges(classes=CLASSES)
    labels = torch.randint(CLASSES, (6, BATCH), generator=torch.Generator().manual_seed(5))
    x = torch.cat([samples(seed=s) for s in range(times)], dim=1)
    logits = Critic(stack, RUNS, labels)(x)
    for row, module in enumerate(modules):
        close(logits[row], module(x[row], labels[row].repeat(times)))
    runs = [(Normalisation.BATCH, slice(4, 5))]
    alone = Critic(stack, runs, labels)(x[4:5])
    close(alone[0], modules[4](x[4], labels[4].repeat(times)))


def gradient_of(stack, norm, row):
    """The row of `Stack.gradient`, by the module's names."""
    return {n: t[0] for n, t in stack.tensors(norm, stack.gradient[row : row + 1]).items()}


def test_gradients_are_collected_and_added_up_for_each_members_own_parameters():
    stack, modules = judges()
    x, weight = samples(), torch.arange(1.0, 7.0, dtype=torch.float64)[:, None]
    critic = Critic(stack, RUNS, None)
    total = (critic(x).square() * weight).sum()
    critic.collect(iter(torch.autograd.grad(total, critic.leaves)))
    part = Critic(stack, [(Normalisation.BATCH, slice(4, 5))], None)
    more = torch.autograd.grad(part(x[4:5]).sum(), part.leaves)
    part.accumulate(iter(more))
    for row, (norm, module) in enumerate(zip(NORMS, modules, strict=True)):
        value = (module(x[row]).square() * weight[row]).sum()
        if row == 4:
            value = value + module(x[row]).sum()
        value.backward()
        found = gradient_of(stack, norm, row)
        for name, parameter in module.named_parameters():
            close(found[name], parameter.grad)


def test_without_gradients_the_parameters_are_fixed_and_the_samples_are_not():
    stack, _ = judges()
    x = samples().requires_grad_()
    critic = Critic(stack, RUNS, None, requires_grad=False)
    assert not any(leaf.requires_grad for leaf in critic.leaves)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x)
    assert gradient.flatten(1).abs().sum(dim=1).all()
