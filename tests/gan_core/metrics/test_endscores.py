import torch

from gan_core.metrics.endscores import END_METRICS, EndScores


def test_every_metric_is_told_of_every_member(digits):
    order = torch.arange(len(digits))
    features = digits.batch(order[:100]).flatten(1)
    scores = EndScores(digits, order, features)(
        digits.batch(order[:300].view(3, 100)), features.expand(3, 100, 64)
    )
    assert tuple(scores) == END_METRICS
    for values in scores.values():
        assert values.shape == (3,)
        assert values.dtype == torch.float64
