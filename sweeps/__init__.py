"""Sweeps of GAN hyperparameters on Ray Tune and Optuna."""
