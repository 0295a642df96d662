"""The versions of what a sweep was made with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["versions"]

_PACKAGES = ("gansweep", "torch", "ray", "optuna")


def versions() -> dict[str, str]:
    """By package; "unknown" for one that was not installed but imported from its source."""
    return {package: _version(package) for package in _PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
