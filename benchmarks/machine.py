"""What the figures were measured on and with: machine, versions, commit, date, load."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["describe", "has_bfloat16", "load_averages", "processor"]

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("torch", "ray", "optuna", "numpy", "pyarrow")
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX-512 BF16",
    "amx_tile": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
}
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


def describe(device: str) -> dict[str, Any]:
    """All of it that holds for a whole run.

    Args:
        device: "cpu" or "cuda".
    """
    from sweeps.machine import this_machine

    machine = this_machine("cpu")
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(_read("/proc/cpuinfo")),
        "cores": machine.cores,
        "memory_gib": round(machine.memory_bytes / 2**30),
        "device": device,
        "gpu": _gpu() if device == "cuda" else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _PACKAGES},
        "commit": _commit(),
        "threads": "OMP_NUM_THREADS=1 in every process",
        "priority": _priority(),
    }


def load_averages() -> list[float]:
    """Of the last 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def processor(cpuinfo: str) -> str:
    """Model, family and what it can do with vectors, from the text of /proc/cpuinfo."""
    fields = _fields(cpuinfo)
    can = [words for flag, words in _FEATURES.items() if flag in _flags(fields)]
    family = [f"family {fields['cpu family']}"] if "cpu family" in fields else []
    name = fields.get("model name", platform.processor() or "unknown")
    details = ", ".join([*family, *can])
    return f"{name} ({details})" if details else name


def has_bfloat16(cpuinfo: str | None = None) -> bool:
    """Whether the CPU multiplies bfloat16 itself, by AVX512_BF16 or AMX.

    Elsewhere such products are correct too, and slower than float32's.

    Args:
        cpuinfo: text of /proc/cpuinfo; None reads this machine's.
    """
    text = _read("/proc/cpuinfo") if cpuinfo is None else cpuinfo
    return not _BFLOAT16.isdisjoint(_flags(_fields(text)))


def _fields(cpuinfo: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w ]+?)\s*:[ \t]*(.*)$", cpuinfo, flags=re.MULTILINE))


def _flags(fields: dict[str, str]) -> list[str]:
    return (fields.get("flags") or fields.get("Features") or "").split()


def _priority() -> str:
    """Of all that is measured; Ray gives its workers a low one, unless told otherwise."""
    workers = os.environ.get("RAY_worker_niceness", "15")  # noqa: SIM112  as Ray spells it
    own = f"niceness {os.nice(0)}, of Ray's workers {workers} more"
    # Linux weighs sessions first, and processes only within theirs.
    session = re.search(r"nice (-?\d+)", _read("/proc/self/autogroup"))
    return own + (f", of the session {session[1]}" if session else "")


def _gpu() -> str:
    import torch

    properties = torch.cuda.get_device_properties(0)
    count = torch.cuda.device_count()
    memory = f"{properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    return f"{count} x {properties.name} ({memory})"


def _commit() -> str:
    """The clone's, with a + where files of the packages differ from it."""
    try:
        commit = _git("rev-parse", "--short=10", "HEAD")
        packages = ("gan_core", "sweeps", "analysis", "benchmarks/*.py", "benchmarks/contenders")
        changed = _git("status", "--porcelain", "--", *packages)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
