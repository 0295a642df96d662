"""How long `analysis.load` takes for a large sweep, and how much memory.

`python -m benchmarks.load [--members N] [--rungs N] [--parts N ...] [--columns NAME ...]`. For each
number of parts it writes a sweep with every column of the schema and loads it in a process of its
own. The usual five million rows of history take 1.5 GB of disk for each, and minutes to write.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.load import load
from analysis.schema import HISTORY, TRIALS

__all__ = ["ENCODINGS", "measure", "write_sweep"]

ENCODINGS: dict[str, dict[str, Any]] = {
    "zstd": {"compression": "zstd"},
    "lz4": {
        "compression": "lz4",
        "use_dictionary": False,
        "write_statistics": False,
        "column_encoding": {f.name: "BYTE_STREAM_SPLIT" for f in HISTORY if f.type == pa.float64()},
    },
}
"""Ways to write parts: pyarrow's usual one, and one that is cheap for small parts."""

_COHORT = 1000  # members that one worker trains at once, and so rows of a part of one rung
_CLASSES = 10
# What a rung of images, of conditional generators or of a loss without a threshold leaves null.
_NULL = ("hq_share", "modes_hit", "class_agreement", "least_class_agreement")
_HALF_NULL = ("penalty", "real_prob", "fake_prob", "real_accuracy", "fake_accuracy")


def write_sweep(
    folder: Path, *, members: int, rungs: int, parts: int, encoding: str = "zstd", seed: int = 0
) -> None:
    """Writes a sweep of complete members, two to a trial, each part some rungs of a cohort.

    Args:
        folder: the sweep's, which must not exist.
        members: how many.
        rungs: of each.
        parts: of the history; about so many.
        encoding: one of `ENCODINGS`.
        seed: of the values.
    """
    rng = np.random.default_rng(seed)
    cohorts = [
        np.arange(begin, min(begin + _COHORT, members)) for begin in range(0, members, _COHORT)
    ]
    tables = (_rung(cohort, rung, rng) for cohort in cohorts for rung in range(rungs))
    (folder / "history").mkdir(parents=True)
    for i, table in enumerate(_joined(tables, max(1, len(cohorts) * rungs // parts))):
        pq.write_table(table, folder / f"history/{i:06d}.parquet", **ENCODINGS[encoding])
    (folder / "trials").mkdir()
    for i, cohort in enumerate(cohorts):
        pq.write_table(_ended(cohort, rungs, rng), folder / f"trials/{i:06d}.parquet")
    (folder / "sweep.toml").write_text('name = "large"\n')


def _joined(tables: Iterator[pa.Table], count: int) -> Iterator[pa.Table]:
    """So many tables each in one."""
    some: list[pa.Table] = []
    for table in tables:
        some.append(table)
        if len(some) == count:
            yield pa.concat_tables(some).combine_chunks()
            some = []
    if some:
        yield pa.concat_tables(some).combine_chunks()


def _rung(members: np.ndarray, rung: int, rng: np.random.Generator) -> pa.Table:
    known = {
        **_keys(members),
        "rung": rung,
        "step": 400 * rung,
        "interval_steps": 400 * min(rung, 1),
        "nonfinite_steps": 0,
        "eval_images": 898,
    }
    return _table(HISTORY, members, known, rng)


def _ended(members: np.ndarray, rungs: int, rng: np.random.Generator) -> pa.Table:
    return _table(TRIALS, members, {**_keys(members), "steps": 400 * (rungs - 1)}, rng)


def _keys(members: np.ndarray) -> dict[str, Any]:
    return {"trial": members // 2, "seed": members, "attempt": 0}


def _table(
    schema: pa.Schema, members: np.ndarray, known: dict[str, Any], rng: np.random.Generator
) -> pa.Table:
    columns = [_column(field, members, known.get(field.name), rng) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(field: pa.Field, members: np.ndarray, known: Any, rng: np.random.Generator) -> pa.Array:
    n = len(members)
    if known is not None:
        return pa.array(np.broadcast_to(known, n)).cast(field.type)
    if field.name == "mode_histogram":
        shares = rng.integers(0, 200, n * _CLASSES) / 898
        return pa.ListArray.from_arrays(pa.array(np.arange(n + 1) * _CLASSES, pa.int32()), shares)
    if pa.types.is_string(field.type):
        return pa.array(["complete" if field.name == "status" else "large"] * n)
    if field.name in _NULL or field.type != pa.float64():
        return pa.nulls(n, field.type)
    numbers = rng.standard_normal(n, dtype=np.float32).astype(np.float64)  # as torch measures
    return pa.array(numbers, mask=(members // 2 % 2 == 0) & field.name.startswith(_HALF_NULL))


def measure(folder: Path, columns: list[str] | None) -> dict[str, float]:
    """Loads the sweep; seconds, of processors too, and the peak of the process in GiB."""
    import pandas  # noqa: F401  the import is no part of it

    start, processors = time.perf_counter(), time.process_time()
    sweep = load(folder, columns=columns)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - processors,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "frame_gib": int(sweep.history.memory_usage(deep=True).sum()) / 2**30,
        "rows": len(sweep.history),
        "columns": sweep.history.shape[1],
    }


def _in_own_process(folder: Path, columns: list[str] | None) -> dict[str, float]:
    arguments = [sys.executable, "-m", "benchmarks.load", "--measure", str(folder)]
    if columns is not None:
        arguments += ["--columns", *columns]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.load", description=__doc__)
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--rungs", type=int, default=50)
    parser.add_argument("--parts", type=int, nargs="+", default=[50, 5000])
    parser.add_argument("--columns", nargs="*", help="of history; all where not given")
    parser.add_argument("--encoding", choices=ENCODINGS, default="zstd", help="of the parts")
    parser.add_argument("--folder", type=Path, help="to write to and leave; else a temporary one")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Prints a line for each number of parts."""
    asked = _arguments()
    if asked.measure:
        print(json.dumps(measure(asked.measure, asked.columns)))  # noqa: T201
        return
    print("  parts      rows columns  on disk   seconds  of CPU  peak GiB  frame GiB")  # noqa: T201
    with tempfile.TemporaryDirectory() as temporary:
        for parts in asked.parts:
            folder = (asked.folder or Path(temporary)) / f"{parts}-parts-{asked.encoding}"
            if not folder.exists():
                write_sweep(
                    folder,
                    members=asked.members,
                    rungs=asked.rungs,
                    parts=parts,
                    encoding=asked.encoding,
                )
            files = list((folder / "history").iterdir())
            m = _in_own_process(folder, asked.columns)
            print(  # noqa: T201
                f"{len(files):7d} {m['rows']:9d} {m['columns']:7d} "
                f"{sum(file.stat().st_size for file in files) / 2**30:5.2f} GiB "
                f"{m['seconds']:8.1f}  {m['cpu_seconds']:6.1f}  {m['peak_gib']:8.2f} "
                f"{m['frame_gib']:10.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
