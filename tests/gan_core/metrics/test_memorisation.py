import pytest
import torch

from gan_core.metrics.memorisation import TrainingSet, nearest_train_ratio


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def training(vectors):
    return TrainingSet(vectors, torch.arange(len(vectors)))


@pytest.fixture(scope="module")
def images():
    """10,000 float32 vectors as wide as those that are used."""
    return normal(10_000, 32).float()


def test_distances_are_those_to_the_nearest():
    # 9,000 rows make three chunks
    vectors, samples = normal(9000, 3), normal(50, 3, seed=1)
    expected = torch.cdist(samples, vectors, compute_mode="donot_use_mm_for_euclid_dist").amin(1)
    torch.testing.assert_close(training(vectors).nearest(samples), expected, rtol=1e-12, atol=0)


def test_of_float32_the_distances_are_the_nearests_but_for_rounding(images):
    samples = normal(100, 32, seed=1).float()
    found = training(images).nearest(samples)
    expected = torch.cdist(samples.double(), images.double()).amin(1)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_real_samples_are_not_their_own_nearest(images):
    rows = torch.tensor([9999, 0, 4095, 4096, 17])
    found = training(images).nearest(images[rows], rows=rows)
    distances = torch.cdist(images[rows].double(), images.double())
    distances[torch.arange(5), rows] = torch.inf
    torch.testing.assert_close(found, distances.amin(1), rtol=1e-6, atol=0)


def test_copies_are_at_exactly_0_wherever_the_data_lies(images):
    for offset in (0.0, 1e4):
        moved = images + offset
        assert (training(moved).nearest(moved[::100]) == 0).all()


def test_the_usual_distance_is_the_median_over_the_others():
    # on a line of gaps 1, 2, 3: the nearest are 1, 1, 2 and 3 away
    line = torch.tensor([[0.0], [1], [3], [6], [10]]).double()
    assert TrainingSet(line, torch.tensor([0, 1, 2])).usual == 1
    assert TrainingSet(line, torch.tensor([2, 3, 4])).usual == 3


def test_copies_score_0_and_fresh_samples_of_the_same_distribution_1(images):
    known = training(images)
    copies, fresh = images[torch.randperm(10_000)[:500]], normal(500, 32, seed=1).float()
    ratio = nearest_train_ratio(torch.stack([copies, fresh]), known)
    assert ratio.dtype == torch.float64
    assert ratio[0] == 0
    # two medians, over 256 and over 1,024 distances that vary by a tenth
    assert ratio[1].item() == pytest.approx(1, abs=0.04)


def test_real_samples_score_1_when_left_out_and_0_when_not(images):
    known, rows = training(images), torch.arange(5000, 5500)
    real = images[rows].unsqueeze(0)
    assert nearest_train_ratio(real, known, rows=rows).item() == pytest.approx(1, abs=0.04)
    assert nearest_train_ratio(real, known).item() == 0


def test_the_noisier_the_copies_the_greater_the_ratio_and_its_size_is_the_noises(images):
    known, copies, noise = training(images), images[:300], normal(300, 32, seed=1).float()
    stds = (0.0, 0.01, 0.05, 0.2)
    ratio = nearest_train_ratio(torch.stack([copies + std * noise for std in stds]), known)
    assert (ratio.diff() > 0).all()
    # the length of 32 normal numbers is sqrt(31.3) in the median
    assert (ratio[1] * known.usual).item() == pytest.approx(0.01 * 31.3**0.5, rel=0.05)


def test_half_of_copies_are_enough_and_a_third_are_not(images):
    known, copies, fresh = training(images), images[:256], normal(256, 32, seed=1).float()
    index = torch.arange(256)[:, None]
    mixed = [torch.where(index % of < copied, copies, fresh) for copied, of in ((2, 3), (1, 3))]
    two_thirds, one_third = nearest_train_ratio(torch.stack(mixed), known).tolist()
    assert two_thirds == 0
    assert one_third > 0.8


def test_units_do_not_matter(images):
    samples = normal(1, 300, 32, seed=1).float()
    expected = nearest_train_ratio(samples, training(images)).item()
    scaled = nearest_train_ratio(8 * samples, training(8 * images)).item()
    assert scaled == pytest.approx(expected, rel=1e-12)


def test_points_in_float64_are_told_apart_in_modes_that_are_narrow():
    # modes of width 1e-4, one unit apart: squares of float32 would make them one place
    vectors = torch.arange(1000).view(-1, 1) % 2 + 1e-4 * normal(1000, 2)
    known, rows = training(vectors), torch.arange(200)
    assert (known.nearest(vectors[rows]) == 0).all()
    distances = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")
    expected = distances.fill_diagonal_(torch.inf).amin(1)[rows]
    left_out = known.nearest(vectors[rows], rows=rows)
    torch.testing.assert_close(left_out, expected, rtol=1e-6, atol=0)
    assert (training(vectors.float()).nearest(vectors[rows].float()) > 0).any()


def test_data_of_duplicates_tells_nothing():
    twice = normal(50, 2).repeat(2, 1)
    assert training(twice).usual == 0
    assert nearest_train_ratio(normal(2, 10, 2), training(twice)).isnan().all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("sample", [7, 290])
def test_a_broken_member_gets_nan_and_its_neighbours_are_bitwise_unchanged(images, value, sample):
    known, samples = training(images), normal(4, 300, 32).float()
    broken = samples.clone()
    broken[2, sample, 3] = value
    sound, with_broken = nearest_train_ratio(samples, known), nearest_train_ratio(broken, known)
    assert with_broken[2].isnan()
    others = torch.tensor([0, 1, 3])
    assert torch.equal(with_broken[others], sound[others])


def test_one_sample_is_enough_and_no_members_have_no_scores():
    known = training(normal(50, 2))
    assert nearest_train_ratio(normal(3, 1, 2), known).isfinite().all()
    assert nearest_train_ratio(normal(0, 9, 2), known).shape == (0,)
