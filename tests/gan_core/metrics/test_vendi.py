import math

import numpy as np
import pytest
import torch

from gan_core.metrics.vendi import vendi_score


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def features_of(kernel):
    """Features whose cosines are a given kernel, of diagonal 1: its symmetric root."""
    values, vectors = np.linalg.eigh(kernel)
    return torch.from_numpy(vectors * np.sqrt(values.clip(0)) @ vectors.T).unsqueeze(0)


def test_the_examples_of_its_authors_come_out():
    # README of vertaix/Vendi-Score; it cuts the digits after these
    points = np.array([0, 0, 10, 10, 20, 20])
    of_points = np.exp(-abs(points[:, None] - points))
    assert vendi_score(features_of(of_points)).item() == pytest.approx(2.9999, abs=1e-4)
    similar = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    assert vendi_score(features_of(similar)).item() == pytest.approx(2.1573, abs=5e-5)


@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_k_equally_frequent_kinds_of_nothing_in_common_are_k(k):
    # scaled as it may be: only directions count
    kinds = torch.eye(8).double()[torch.arange(40) % k] * torch.linspace(0.1, 9, 40)[:, None]
    assert vendi_score(kinds.unsqueeze(0)).item() == pytest.approx(k, rel=1e-12)


def test_unequal_shares_count_by_their_entropy():
    kinds = torch.eye(3).double()[torch.tensor([0] * 6 + [1] * 3 + [2])]
    entropy = -sum(p * math.log(p) for p in (0.6, 0.3, 0.1))
    assert vendi_score(kinds[None]).item() == pytest.approx(math.exp(entropy), rel=1e-12)


def test_the_dual_form_has_the_eigenvalues_of_the_kernel_between_samples():
    for n, d in ((30, 6), (6, 30)):
        x = normal(n, d)
        directions = x / x.norm(dim=1, keepdim=True)
        values = torch.linalg.eigvalsh(directions @ directions.T / n).clamp(min=0)
        expected = (-torch.xlogy(values, values).sum()).exp().item()
        assert vendi_score(x[None]).item() == pytest.approx(expected, rel=1e-12)


def test_it_is_bounded_by_1_and_by_samples_and_features():
    scores = vendi_score(torch.stack([normal(50, 8), normal(1, 8).expand(50, 8)]))
    assert 7 < scores[0] <= 8
    assert scores[1] == pytest.approx(1, abs=1e-12)
    assert scores[1] >= 1
    assert vendi_score(normal(1, 1, 8)).item() == pytest.approx(1)
    assert vendi_score(normal(1, 3, 100)).item() <= 3


def test_losing_modes_costs_diversity():
    few = torch.stack([normal(10, 16)[torch.arange(100) % k] for k in (10, 7, 4, 2, 1)])
    assert (vendi_score(few).diff() < 0).all()


def test_features_that_are_0_are_alike_and_unlike_all_others():
    nothing = torch.zeros(1, 10, 4)
    assert vendi_score(nothing).item() == 1
    nothing[0, :5, 2] = 3
    assert vendi_score(nothing).item() == pytest.approx(2, rel=1e-12)


def test_sizes_that_overflow_or_vanish_when_squared_do_no_harm():
    x = normal(1, 20, 4)
    for scale in (1e-200, 1e200):
        assert vendi_score(scale * x).item() == pytest.approx(vendi_score(x).item(), rel=1e-12)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_broken_member_gets_nan_and_its_neighbours_are_bitwise_unchanged(value):
    features = normal(4, 40, 8)
    broken = features.clone()
    broken[2, 7, 3] = value
    sound, with_broken = vendi_score(features), vendi_score(broken)
    assert with_broken.dtype == torch.float64
    assert with_broken[2].isnan()
    others = torch.tensor([0, 1, 3])
    assert torch.equal(with_broken[others], sound[others])


def test_no_members_have_no_scores():
    assert vendi_score(normal(0, 9, 2)).shape == (0,)
