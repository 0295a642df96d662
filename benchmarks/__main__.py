"""Measures gansweep against what people use today: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.agenda import CONTENDERS, FIGURES, Item, Request, agenda, measure_item
from benchmarks.cases import CASES
from benchmarks.effort import FULL, QUICK
from benchmarks.machine import describe, has_bfloat16, load_averages
from benchmarks.quote import RESULTS, documents, requoted
from benchmarks.results import Record, Results
from benchmarks.tables import markdown

_HELP = """\
Measures gansweep against what people use today, on this machine, and prints tables.

Who is measured (--contenders):
  solo      an ordinary loop over one GAN: modules, torch.optim.Adam, BCEWithLogitsLoss, the data
            in memory
  tutorial  the same, its data by a DataLoader with transforms of each sample
  stock     that loop under Ray Tune, with OptunaSearch and ASHAScheduler, a trial for each core
  gansweep  cohorts of K GANs, and `gansweep run`

On what (--cases): {cases}.
What (--figures): {figures}.

Networks, steps, batches, judgement and space are the same for all, and who is compared takes
turns. Every process has one thread. Without a GPU, searches are of digits alone.
MNIST is read from DIR/MNIST/raw if --root is given; speed alone is measured on random images.
"""

_EXAMPLES = """\
examples:
  python -m benchmarks                             everything; about an hour on two idle cores
  python -m benchmarks --repeats 1                 every search once; less than half an hour
  python -m benchmarks --quick                     whether it runs; a minute or two
  python -m benchmarks --cases digits --figures rates
  python -m benchmarks --minutes 5                 begin nothing more after five minutes
  python -m benchmarks --add RESULTS.json          and go on with what is missing
  python -m benchmarks --quote                     renew the tables in README.md and docs/
"""


def _parser() -> argparse.ArgumentParser:
    listed = ", ".join(f"{case.name} ({case.title})" for case in CASES.values())
    figures = "; ".join(f"{name}: {meaning}" for name, meaning in FIGURES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=_HELP.format(cases=listed, figures=figures),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="WHO"
    )
    parser.add_argument(
        "--figures", nargs="+", choices=FIGURES, default=list(FIGURES), metavar="WHAT"
    )
    parser.add_argument("--quick", action="store_true", help="tiny; its figures say nothing")
    parser.add_argument("--repeats", type=_count, metavar="N", help="of whole searches")
    parser.add_argument(
        "--stock-trials", type=_count, metavar="N",
        help="of a search without pruning by stock, whose trainings/hour are told from so many",
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, help="begin nothing more after so many")
    parser.add_argument("--root", type=Path, metavar="DIR", help="of MNIST")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="DIR", help="for the JSON and the Markdown"
    )
    parser.add_argument(
        "--add", type=Path, metavar="FILE", help="go on with a file of results, in its place"
    )
    parser.add_argument("--quote", action="store_true", help="measure nothing; renew documents")
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number >= 1")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Measures; returns the exit code: 1 if something failed."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.quote:
        return _quote()
    if given.root is not None and not (given.root / "MNIST" / "raw").is_dir():
        parser.error(f"--root {given.root}: must hold MNIST/raw")
    try:
        results = Results.read(given.add) if given.add else Results()
    except ValueError as error:
        parser.error(f"--add {error}")
    request = _request(given)
    now = datetime.datetime.now().strftime("%Y-%m-%d-%H%M")
    path = given.add or given.out / f"{now}-{request.device}.json"
    console = Console(stderr=True)
    results.sessions.append(describe(request.device) | {"load_before": load_averages()})
    try:
        _measure(request, results, path, console, given.minutes)
    except KeyboardInterrupt:
        console.print(f"Stopped; python -m benchmarks --add {path} goes on.", soft_wrap=True)
        return 130
    sys.stdout.write(markdown(results))
    console.print(f"Written: {path} and {path.with_suffix('.md')}", soft_wrap=True)
    return int(any(not failure.is_too_large for failure in results.failures()))


def _request(given: argparse.Namespace) -> Request:
    import dataclasses

    from sweeps.machine import this_machine

    machine = this_machine(given.device)
    device = given.device
    if device == "auto":
        device = "cuda" if machine.cuda_devices else "cpu"
    effort = QUICK if given.quick else FULL
    asked = {"repeats": given.repeats, "stock_trials": given.stock_trials}
    effort = dataclasses.replace(effort, **{k: v for k, v in asked.items() if v is not None})
    return Request(
        cases=given.cases,
        contenders=given.contenders,
        figures=given.figures,
        effort=effort,
        device=device,
        workers=machine.cuda_devices if device == "cuda" else machine.cores,
        bfloat16=device == "cpu" and has_bfloat16(),
        root=None if given.root is None else str(given.root.absolute()),
    )


def _measure(
    request: Request, results: Results, path: Path, console: Console, minutes: float | None
) -> None:
    """Goes through the agenda, and writes after every measurement."""
    items = [item for item in agenda(request) if not item.is_in(results)]
    end = time.monotonic() + 60 * minutes if minutes is not None else None
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(items), now="")

        def tell(words: str) -> None:
            progress.update(bar, now=words)

        for item in items:
            if end is not None and time.monotonic() > end:
                progress.console.print(f"{path.name}: time is up; --add goes on with it")
                break
            records = list(_measured(item, results, path, tell))
            for record in records:
                if record.error:
                    progress.console.print(f"{record.key.label}: {record.error}", soft_wrap=True)
            progress.console.print(f"{time.strftime('%H:%M:%S')} {item.title}", soft_wrap=True)
            progress.advance(bar)


def _measured(item: Item, results: Results, path: Path, tell: object) -> list[Record]:
    """Measures one thing, and writes whatever came of it, interrupted or not."""
    records: list[Record] = []
    try:
        for record in measure_item(item, results, tell):  # type: ignore[arg-type]
            records.append(record)
    finally:
        results.sessions[-1]["load_after"] = load_averages()
        results.write(path)
        path.with_suffix(".md").write_text(markdown(results))
    return records


def _quote() -> int:
    for path in documents():
        before = path.read_text()
        after = requoted(before)
        if after != before:
            path.write_text(after)
            sys.stdout.write(f"{path.name}: renewed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
