"""The contract of the Parquet that a sweep writes: names, types and meaning of every column.

`sweeps` writes by it and `analysis` reads by it. Types never depend on the values, so a part
whose `label_smoothing` is all null has the same type as any other.
"""

from __future__ import annotations

import pyarrow as pa

__all__ = [
    "CONTROL",
    "END_METRICS",
    "GRADIENT_SIGNALS",
    "HISTORY",
    "HYPERPARAMETERS",
    "IMPORTANCES",
    "METRICS",
    "SAMPLES",
    "SCHEMA_VERSION",
    "SIGNALS",
    "SPECTRAL_NORMS",
    "STATISTICS",
    "TRIALS",
    "VERSION_KEY",
]

SCHEMA_VERSION = 2
"""Version 1 lacks `within_class_spread`, `END_METRICS`, `SPECTRAL_NORMS` and `members`: null where
read."""
VERSION_KEY = b"gansweep_schema_version"

SIGNALS = (
    "d_loss",
    "g_loss",
    "penalty",
    "real_logit",
    "fake_logit",
    "real_prob",
    "fake_prob",
    "real_accuracy",
    "fake_accuracy",
    "grad_norm_d",
    "grad_norm_g",
)
"""What is observed at every training step, D's at its last update of the step. `d_loss` is the
adversarial loss alone; `penalty` is null where there is none; probabilities are the sigmoid of
the logits and null unless the loss is a cross-entropy; accuracies are null for Wasserstein and
relativistic losses, whose D has no threshold."""

STATISTICS = ("mean", "std", "min", "max")
"""Of each signal over the steps of the interval that ends at the rung: `<signal>_<statistic>`."""

GRADIENT_SIGNALS = ("grad_norm_d", "grad_norm_g")
"""Signals that also have `<signal>_above_100_share`, the share of steps above 100 (ganhacks)."""

METRICS = (
    "frechet_distance",
    "mode_kl",
    "mode_entropy",
    "modes_1pct",
    "feature_spread",
    "within_class_spread",
    "hq_share",
    "modes_hit",
    "class_agreement",
    "least_class_agreement",
)
"""Judgements of a rung's samples; `eval_images` of them, against a reference half of the data.

frechet_distance: between the classifier features of samples and reference, >= 0, less is better.
mode_kl: KL(samples || data) over the classes that the classifier sees, in nats, >= 0.
mode_entropy: exp(entropy) of the class shares: the effective number of modes, in [1, modes]; 0
  where no point of a mixture is near a mode.
modes_1pct: number of classes that have at least 1% of the samples.
feature_spread: sqrt of trace(covariance of sample features) / trace(of the reference's); near 1
  is right, near 0 is a collapse to one image.
within_class_spread: the same inside the classes that the classifier sees or the modes of a
  mixture, each weighted by its share of the samples; near 0 is one image for each class. A
  mixture's are compared with its exact covariances, cut off where its points of high quality are.
hq_share: of points of a mixture: the share within three standard deviations of the nearest mode;
  null for images.
modes_hit: of points of a mixture: number of modes with at least one such point; of stacked_mnist:
  number of its 1,000 classes with at least one image; null for other images.
class_agreement: of conditional generators: share of the samples that the classifier sees in the
  class that was asked for; in the control, its accuracy on real ones.
least_class_agreement: the same over the samples of the class where it is least.
"""

END_METRICS = (
    "kid",
    "precision_k5",
    "recall_k5",
    "density_k5",
    "coverage_k5",
    "ndb_share",
    "bin_js",
    "vendi_score",
    "nearest_train_ratio",
)
"""Judgements of a member's samples when it ends, unless it diverged, and of the control's, dearer
than a rung affords: as many samples against as many of the reference, by the same features.

kid: unbiased squared maximum mean discrepancy with a cubic kernel (Binkowski 2018): about 0 is
  right, and then as often below it.
precision_k5: share of samples within the reach of the reference, a ball around each sample of it
  to its fifth neighbour (Kynkaanniemi 2019); recall_k5: share of the reference within the
  samples' reach; density_k5: how many such balls a sample lies in, 1 is right and more is a
  crowding into the dense parts; coverage_k5: share of such balls with a sample in them (Naeem
  2020), the plainest sign of dropped modes.
ndb_share: share of bins (k-means on the reference) that hold significantly more or fewer samples
  than they should, about 0.05 is right; bin_js: Jensen-Shannon divergence between the bins, in
  nats (Richardson & Weiss 2018).
vendi_score: effective number of unlike samples (Friedman & Dieng 2023); compares with the
  control's alone; null for points.
nearest_train_ratio: median distance of a sample to the nearest training sample over the same of
  real ones: about 1 is right, 0 is a copy; null for mixtures. This and the bins compare the
  samples themselves, by their principal components.
"""

SPECTRAL_NORMS = ("spectral_norm_g", "spectral_norm_d")
"""Largest singular value of the weights of G's and of D's layer with the most parameters, as they
are trained (before a normalisation divides them), a convolution's as [out, rest]; null where a
network has no such layer or it is not finite."""

HYPERPARAMETERS: dict[str, pa.DataType] = {
    "lr_g": pa.float64(),
    "lr_d": pa.float64(),
    "latent_dim": pa.int64(),
    "loss": pa.string(),
    "penalty": pa.string(),
    "label_smoothing": pa.float64(),
    "clip_value": pa.float64(),
    "gp_weight": pa.float64(),
    "dragan_weight": pa.float64(),
    "r1_gamma": pa.float64(),
    "d_norm": pa.string(),
    "beta1": pa.float64(),
    "beta2": pa.float64(),
    "d_steps": pa.int64(),
    "lr_schedule": pa.string(),
    "instance_noise": pa.float64(),
    "ema_half_life_images": pa.float64(),
}
"""One column each in `TRIALS`; null where the trial's loss does not have it."""

_TIME = pa.timestamp("us", tz="UTC")
_VERSION = {VERSION_KEY: str(SCHEMA_VERSION).encode()}

_MEMBER = [
    pa.field("sweep", pa.string()),
    pa.field("trial", pa.int64()),  # Optuna's trial number
    pa.field("seed", pa.int64()),  # the member's own seed: (hyperparameters, seed) replays it
    pa.field("attempt", pa.int32()),  # 0, and one more each time that the trial was given out again
]

TRIALS = pa.schema(
    [
        *_MEMBER,
        pa.field("status", pa.string()),  # complete | pruned | diverged | failed
        *(pa.field(name, kind) for name, kind in HYPERPARAMETERS.items()),
        pa.field("steps", pa.int64()),  # G updates made
        pa.field("diverged_step", pa.int64()),  # null unless diverged
        pa.field("objective", pa.float64()),  # this member's, at its last rung
        pa.field("trial_objective", pa.float64()),  # over the trial's seeds, as Optuna was told
        *(pa.field(f"final_{name}", pa.float64()) for name in METRICS),
        *(pa.field(f"final_{name}", pa.float64()) for name in END_METRICS),
        # the least frechet_distance and mode_kl, the greatest of the others
        *(pa.field(f"best_{name}", pa.float64()) for name in METRICS),
        pa.field("seconds", pa.float64()),  # wall time from admission to end
        pa.field("ended_at", _TIME),
        pa.field("worker", pa.string()),
        pa.field("slots", pa.int64()),  # of the worker: members that it trains at once
        pa.field("device", pa.string()),
        pa.field("dataset", pa.string()),
        pa.field("architecture", pa.string()),
        pa.field("error", pa.string()),  # null unless failed
        pa.field("gansweep_version", pa.string()),
        pa.field("torch_version", pa.string()),
    ],
    metadata=_VERSION,
)
"""One row per member: a trial at a seed, written when it ends."""

HISTORY = pa.schema(
    [
        *_MEMBER,
        pa.field("rung", pa.int32()),  # 0 is before the first step: no signals yet
        pa.field("step", pa.int64()),  # G updates made
        pa.field("interval_steps", pa.int64()),  # steps that the statistics are over
        *(pa.field(f"{s}_{stat}", pa.float64()) for s in SIGNALS for stat in STATISTICS),
        *(pa.field(f"{s}_above_100_share", pa.float64()) for s in GRADIENT_SIGNALS),
        pa.field("nonfinite_steps", pa.int64()),  # steps with a NaN or inf loss or gradient
        *(pa.field(name, pa.float64()) for name in SPECTRAL_NORMS),
        *(pa.field(name, pa.float64()) for name in METRICS),
        # Share of samples in each class or mode; those of a mixture sum to hq_share, and where a
        # dataset has no modes there are none.
        pa.field("mode_histogram", pa.list_(pa.float64())),
        pa.field("eval_images", pa.int64()),  # samples behind the metrics
        pa.field("members", pa.int64()),  # trained in lockstep; at rung 0 judged together
        pa.field("seconds", pa.float64()),  # wall time since admission
    ],
    metadata=_VERSION,
)
"""One row per member and rung."""

SAMPLES = pa.schema(
    [
        *_MEMBER,
        pa.field("step", pa.int64()),
        pa.field("png", pa.binary()),  # a grid of samples from fixed noise
    ],
    metadata=_VERSION,
)
"""One row per member, when it ends."""

CONTROL = pa.schema(
    [
        pa.field("sweep", pa.string()),
        pa.field("kind", pa.string()),  # real: held-out real images | untrained: a fresh G
        pa.field("dataset", pa.string()),
        pa.field("extractor", pa.string()),  # hash of the classifier's weights
        pa.field("eval_images", pa.int64()),
        *(pa.field(name, pa.float64()) for name in (*METRICS, *END_METRICS)),
        pa.field("mode_histogram", pa.list_(pa.float64())),
        pa.field("classes", pa.list_(pa.string())),  # names of the modes
    ],
    metadata=_VERSION,
)
"""What perfect and untrained generators score with the same protocol; two rows per sweep."""

IMPORTANCES = pa.schema(
    [
        pa.field("sweep", pa.string()),
        pa.field("target", pa.string()),  # objective
        pa.field("hyperparameter", pa.string()),
        pa.field("importance", pa.float64()),  # >= 0; those of a target sum to 1
        pa.field("evaluator", pa.string()),  # ped-anova
        pa.field("trials", pa.int64()),  # complete ones, behind it
        pa.field("written_at", _TIME),
    ],
    metadata=_VERSION,
)
"""How much each searched hyperparameter decides, by Optuna; as of the last end of a run."""
