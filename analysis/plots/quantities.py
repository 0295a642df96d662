"""What a reader is told of each measured quantity: its name, its unit and the scale it needs."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.scores import GREATER_IS_BETTER

__all__ = ["Quantity", "greater_is_better", "quantity"]


@dataclass(frozen=True)
class Quantity:
    """How one column is shown."""

    name: str
    """As a reader calls it, to begin an axis title with."""
    unit: str = ""
    is_log: bool = False
    """Whether its values span orders of magnitude."""
    note: str = ""
    """What to look for, as half a sentence."""

    @property
    def title(self) -> str:
        """Name and unit, such as "Learning rate of G" or "Time (s)"."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


_QUANTITIES = {
    "frechet_distance": Quantity(
        "Fréchet distance", "", True, "lower is better; the dashed line is real data"
    ),
    "mode_kl": Quantity("KL of modes", "nats", False, "0 is the classes in the right shares"),
    "mode_entropy": Quantity(
        "Effective modes",
        "number",
        False,
        "a fall is a collapse; the dashed line is real data",
    ),
    "modes_1pct": Quantity("Modes with 1% of samples", "number"),
    "feature_spread": Quantity(
        "Feature spread", "of real", False, "1 is as varied as real data, 0 one image"
    ),
    "within_class_spread": Quantity(
        "Spread inside classes", "of real", False, "1 is right, 0 one image for each class"
    ),
    "hq_share": Quantity("Samples near a mode", "share", False, "within three deviations"),
    "modes_hit": Quantity("Modes hit", "number"),
    "class_agreement": Quantity("Agreement with the class asked for", "share"),
    "least_class_agreement": Quantity("Agreement, worst class", "share"),
    "d_loss": Quantity("Loss of D", "", False, "near 0: D has won and G learns nothing"),
    "g_loss": Quantity("Loss of G", "", False, "losses of other variants differ in scale"),
    "penalty_mean": Quantity("Penalty on D", "", True),
    "real_logit": Quantity("D's logit on real", ""),
    "fake_logit": Quantity("D's logit on samples", ""),
    "real_prob": Quantity("D(real)", "probability", False, "both near 0.5: an even game"),
    "fake_prob": Quantity("D(samples)", "probability"),
    "real_accuracy": Quantity("D right on real", "share", False, "1 on both: D has won"),
    "fake_accuracy": Quantity("D right on samples", "share", False, "1 on both: D has won"),
    "grad_norm_d": Quantity("Gradient norm of D", "", True, "above 100 training breaks"),
    "grad_norm_g": Quantity("Gradient norm of G", "", True, "above 100 training breaks"),
    "spectral_norm_g": Quantity("Spectral norm of G's largest layer", "", True),
    "spectral_norm_d": Quantity("Spectral norm of D's largest layer", "", True),
    "lr_g": Quantity("Learning rate of G", "", True),
    "lr_d": Quantity("Learning rate of D", "", True),
    "latent_dim": Quantity("Latent dimension"),
    "loss": Quantity("Loss"),
    "penalty": Quantity("Penalty"),
    "label_smoothing": Quantity("Label smoothing"),
    "clip_value": Quantity("Clip value", "", True),
    "gp_weight": Quantity("Weight of WGAN-GP's penalty", "", True),
    "dragan_weight": Quantity("Weight of DRAGAN's penalty", "", True),
    "r1_gamma": Quantity("Weight of R1", "", True),
    "d_norm": Quantity("Normalisation of D"),
    "beta1": Quantity("Adam's beta1"),
    "beta2": Quantity("Adam's beta2"),
    "d_steps": Quantity("D updates for one of G"),
    "lr_schedule": Quantity("Schedule of the rates"),
    "instance_noise": Quantity("Instance noise"),
    "ema_half_life_images": Quantity("Half-life of the average", "images", True),
    "step": Quantity("Updates of G", "steps"),
    "g_updates": Quantity("Updates of G", "summed over members"),
    "d_updates": Quantity("Updates of D", "summed over members"),
    "seconds": Quantity("Time in training", "s, summed over members"),
    "kid": Quantity("KID", ""),
    "precision_k5": Quantity("Precision", "k = 5"),
    "recall_k5": Quantity("Recall", "k = 5"),
    "density_k5": Quantity("Density", "k = 5"),
    "coverage_k5": Quantity("Coverage", "k = 5"),
    "ndb_share": Quantity("Bins that differ", "share"),
    "bin_js": Quantity("Jensen-Shannon of bins", "nats"),
    "vendi_score": Quantity("Vendi score", "unlike samples"),
    "nearest_train_ratio": Quantity("Distance to training data", "of real"),
}


def quantity(column: str) -> Quantity:
    """How a column is shown.

    `<signal>_mean` is shown as its signal, `final_<metric>` as its metric, an unknown one by its
    name.
    """
    name = column.removeprefix("final_")
    name = name if name in _QUANTITIES else name.removesuffix("_mean")
    return _QUANTITIES.get(name, Quantity(column.replace("_", " ")))


def greater_is_better(objective: str) -> bool:
    """Whether greater values of an objective are better; False for what is not known."""
    return objective in GREATER_IS_BETTER
