"""One worker: a cohort in lockstep, judged, stored and refilled at every rung.

Knows nothing of Ray: it is given a way to the owner of the study and a store, so that a test, a
Tune trial or a loop of one's own can drive it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from gan_core.cohort import Cohort, Member
from gan_core.config import GanConfig
from gan_core.export import MemberConfig, member_bytes
from gan_core.loop import IntervalRecord, run_interval
from gan_core.metrics.evaluate import Evaluator
from sweeps.assembly import assemble_cohort, assemble_dataset
from sweeps.config import SweepConfig
from sweeps.held import HeldTrial, gan_config
from sweeps.judging import judge_at_end, judge_rung, pictures, untrained
from sweeps.keeping import Keeper
from sweeps.objective import trial_value
from sweeps.protocol import Assignment, Final, Outcome, Reply, RungReport
from sweeps.rows import Context, Progress, control_row, history_row, origin, sample_row, trial_row
from sweeps.store import Store

__all__ = ["Advance", "Exchange", "Worker"]


class Exchange(Protocol):
    """The way to `sweeps.study.StudyOwner.exchange`, the worker's name filled in."""

    def __call__(
        self,
        held: Sequence[int],
        reports: Sequence[RungReport],
        finals: Sequence[Final],
        want: int,
        member_steps: int,
    ) -> Reply:
        """Reports and asks."""
        ...


@dataclass(frozen=True, kw_only=True)
class Advance:
    """What one call of `Worker.advance` came to."""

    members: int = 0
    """In training now."""
    member_steps: int = 0
    """G updates over all members since the worker began."""
    ended: int = 0
    """Trials that ended since the worker began."""
    given_up: int = 0
    """Of those, the ones that had broken their workers again and again."""
    done: bool = False
    """Nothing is left for any worker, or the user asked to stop."""


_Seed = tuple[Progress, Member]


class Worker:
    """Trains what the owner of the study gives it.

    Args:
        config: of the sweep.
        name: unlike any other worker's of the sweep.
        slots: members at a time.
        device: "cpu" or "cuda".
        exchange: the way to the owner of the study.
        store: where rows go.
        reasons: why trials broke, by their numbers, as far as that is known.
    """

    def __init__(
        self,
        config: SweepConfig,
        *,
        name: str,
        slots: int,
        device: str,
        exchange: Exchange,
        store: Store,
        reasons: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        self._config, self._exchange, self._store = config, exchange, store
        self._reasons = reasons
        self._dataset = assemble_dataset(config, device)
        self._evaluator = Evaluator(self._dataset, config.train.eval_images)
        self._cohort = self._new_cohort(slots, device)
        self._context = Context(
            sweep=store.name,
            worker=name,
            device=device,
            dataset=config.data.dataset,
            architecture=config.model.architecture,
            eval_images=self._evaluator.eval_images,
            slots=slots,
        )
        # Parts of a worker that is started again must not take the names of its former ones.
        self._prefix = f"{name}-{secrets.token_hex(4)}"
        self._parts = 0
        self._keeper = Keeper(store, config.train.checkpoint_seconds)
        self._held: dict[int, HeldTrial] = {}
        self._untold: list[RungReport] = []
        self._finals: list[Final] = []
        self._member_steps = 0
        self._ended = 0
        self._given_up = 0

    def advance(self) -> Advance:
        """Trains one interval and meets the rung: measures, stores, exchanges, refills, keeps.

        With nothing to train it only asks for work.

        Raises:
            StorageError: rows cannot be written; nothing was told that is not stored.
        """
        records = run_interval(self._cohort, self._dataset, self._config.train.eval_every)
        self._member_steps += sum(int(r.statistics["interval_steps"]) for r in records)
        self._measure({record.member: record for record in records})
        self._untold = self._reports()
        trained = [held for held in self._held.values() if self._is_trained(held)]
        self._end(trained, Outcome.COMPLETE)
        seeds = [seed for held in self._held.values() for seed in held.seeds]
        self._release([(seed, member) for seed, member in seeds if seed.diverged], Outcome.DIVERGED)
        while True:
            reply = self._talk(self._free_trials)
            is_more = self._settle(reply)
            self._admit(reply.refills)
            if not is_more:
                break
        # Only now: what it came to is stored and told, and these are still this worker's.
        self._keeper.keep(self._cohort, self._held.values(), now=reply.stop)
        return Advance(
            members=len(self._cohort.members),
            member_steps=self._member_steps,
            ended=self._ended,
            given_up=self._given_up,
            done=reply.done or reply.stop,
        )

    def tell(self) -> None:
        """Tells what is stored and not told, after an error that ends this worker."""
        if self._finals:
            self._talk(0)

    def keep(self) -> None:
        """Keeps all trials in training, between two intervals."""
        self._keeper.keep(self._cohort, self._held.values(), now=True)

    def write_control(self) -> None:
        """Stores what held-out real images and an untrained generator score."""
        config = GanConfig(latent_dim=self._cohort.config.latent_dim)
        fresh = self._new_cohort(1, self._context.device)
        fresh.admit([config])
        kinds = {"real": self._evaluator.real, "untrained": untrained(fresh, self._evaluator)}
        rows = [
            control_row(
                self._context,
                kind,
                {name: value.item() for name, value in evaluation.values.items()},
                evaluation.histogram[0].tolist(),
                extractor=self._evaluator.extractor.hash,
                classes=self._evaluator.classes,
            )
            for kind, evaluation in kinds.items()
        ]
        self._store.write("control", rows, "control")

    def _new_cohort(self, slots: int, device: str) -> Cohort:
        shape, classes = self._dataset.sample_shape, len(self._dataset.classes)
        return assemble_cohort(self._config, shape, classes=classes, slots=slots, device=device)

    # --- at a rung

    def _measure(self, records: dict[Member, IntervalRecord]) -> None:
        """Judges the members that trained, and stores their history."""
        trained = [
            (seed, member)
            for held in self._held.values()
            for seed, member in held.seeds
            if member in records
        ]
        for seed, member in trained:
            seed.step = records[member].step
            seed.diverged_step = records[member].diverged_step
            seed.rung += 1
        judge_rung(self._cohort, self._evaluator, trained)
        statistics = [records[member].statistics for _, member in trained]
        self._store.write("history", self._remember(trained, statistics), self._part())

    def _remember(
        self, seeds: Sequence[_Seed], statistics: Sequence[Mapping[str, float]]
    ) -> list[dict[str, Any]]:
        """Rows of the history of members that were in lockstep; their trials remember them."""
        rows = []
        for (seed, _), values in zip(seeds, statistics, strict=True):
            held = self._held[seed.trial]
            row = history_row(self._context, seed, values, held.seconds, members=len(seeds))
            held.remember(row)
            rows.append(row)
        return rows

    def _reports(self) -> list[RungReport]:
        objective, every = self._config.search.objective, self._config.train.eval_every
        reports = []
        for trial, held in self._held.items():
            seeds = [seed for seed, _ in held.seeds]
            held.value = trial_value(
                [seed.metrics[objective] for seed in seeds],
                [seed.diverged for seed in seeds],
                [seed.untrained[objective] for seed in seeds],
            )
            # A dead seed stands where it fell and counts at every later rung of the trial.
            reports.append(RungReport(trial, held.rung * every, held.value, held.diverged))
        return reports

    def _is_trained(self, held: HeldTrial) -> bool:
        steps = self._config.train.steps
        return all(seed.diverged or seed.step >= steps for seed, _ in held.seeds)

    # --- the ends of trials

    def _end(self, trials: Sequence[HeldTrial], outcome: Outcome) -> None:
        """Stores the trials' members, frees their slots, and keeps their ends to be told."""
        self._release([seed for held in trials for seed in held.seeds], outcome)
        rows = [
            trial_row(
                self._context,
                seed,
                self._status(seed, outcome),
                objective=self._config.search.objective,
                trial_objective=held.value,
                seconds=held.seconds,
            )
            for held in trials
            for seed, _ in held.seeds
        ]
        self._store.write("trials", rows, self._part())
        for held in trials:
            self._forget(held.assignment.trial, outcome, held.diverged)
            del self._held[held.assignment.trial]

    def _give_up(self, assignment: Assignment) -> None:
        """Stores a trial that broke its worker again and again; it is not begun another time."""
        rows = [
            trial_row(
                self._context,
                self._fresh(assignment, seed),
                Outcome.FAILED,
                objective=self._config.search.objective,
                error=_why(assignment, self._reasons.get(assignment.trial)),
            )
            for seed in assignment.seeds
        ]
        self._store.write("trials", rows, self._part())
        self._given_up += 1
        self._forget(assignment.trial, Outcome.FAILED, 0)

    def _forget(self, trial: int, outcome: Outcome, diverged: int) -> None:
        self._finals.append(Final(trial, outcome, diverged))
        self._ended += 1

    @staticmethod
    def _status(seed: Progress, outcome: Outcome) -> str:
        return Outcome.DIVERGED if seed.diverged else outcome

    def _release(self, seeds: Sequence[_Seed], outcome: Outcome) -> None:
        """Judges who still has a slot at its end, stores samples and weights, frees the slots."""
        standing = [(seed, member) for seed, member in seeds if member in self._cohort.members]
        if not standing:
            return
        judge_at_end(self._cohort, self._evaluator, standing)
        members = [member for _, member in standing]
        images = pictures(self._cohort, members, self._dataset)
        rows = [
            sample_row(self._context, seed, png)
            for (seed, _), png in zip(standing, images, strict=True)
        ]
        self._store.write("samples", rows, self._part())
        for (seed, member), row in zip(standing, rows, strict=True):
            self._held[seed.trial].samples.append(row)
            if self._config.train.keep_weights.keeps(self._status(seed, outcome)):
                self._store_weights(seed, member)
            elif seed.attempt:
                self._store.drop_weights(seed.trial, seed.seed)
        self._cohort.evict(members)

    def _store_weights(self, seed: Progress, member: Member) -> None:
        config = MemberConfig.of(
            self._cohort,
            member,
            classes=self._dataset.classes,
            origin=origin(self._context, seed),
        )
        G, D = self._cohort.export(member, average=True)
        self._store.write_weights(seed.trial, seed.seed, member_bytes(G, D, config))

    # --- the owner of the study

    @property
    def _free_trials(self) -> int:
        free = self._cohort.slots - len(self._cohort.members)
        return free // self._config.train.seeds

    def _talk(self, want: int) -> Reply:
        reply = self._exchange(
            held=tuple(self._held),
            reports=self._untold,
            finals=tuple(self._finals),
            want=want,
            member_steps=self._member_steps,
        )
        self._untold = []
        # Not before: of a worker that dies on the way to the owner another takes the trials up.
        self._keeper.drop([final.trial for final in self._finals])
        self._finals.clear()
        return reply

    def _settle(self, reply: Reply) -> bool:
        """Does what the reply asks for; returns whether there is something to tell of it."""
        for trial in reply.dropped:
            self._cohort.evict(
                [m for _, m in self._held.pop(trial).seeds if m in self._cohort.members]
            )
        self._end([self._held[trial] for trial in reply.prune], Outcome.PRUNED)
        for assignment in reply.lost:
            self._give_up(assignment)
        return bool(reply.dropped or self._finals)

    def _admit(self, assignments: Sequence[Assignment]) -> None:
        """Takes trials into free slots: as they were kept, or judged before their first step."""
        begun: list[HeldTrial] = []
        continued: list[HeldTrial] = []
        for assignment in assignments:
            kept = self._keeper.take_up(self._cohort, assignment)
            held = kept or self._begin(assignment)
            self._held[assignment.trial] = held
            (continued if kept else begun).append(held)
        fresh = [seed for held in begun for seed in held.seeds]
        judge_rung(self._cohort, self._evaluator, fresh)
        rows = self._remember(fresh, [{}] * len(fresh))
        rows += [row for held in continued for row in held.history()]
        self._store.write("history", rows, self._part())
        samples = [row for held in continued for row in held.own_samples()]
        self._store.write("samples", samples, self._part())

    def _begin(self, assignment: Assignment) -> HeldTrial:
        configs = [gan_config(assignment, seed) for seed in assignment.seeds]
        members = self._cohort.admit(configs)
        seeds = [self._fresh(assignment, seed) for seed in assignment.seeds]
        return HeldTrial(assignment, list(zip(seeds, members, strict=True)))

    @staticmethod
    def _fresh(assignment: Assignment, seed: int) -> Progress:
        resolved = gan_config(assignment, seed).to_dict()
        del resolved["seed"]
        return Progress(
            trial=assignment.trial,
            attempt=assignment.attempt,
            seed=seed,
            hyperparameters=resolved,
        )

    # --- the store

    def _part(self) -> str:
        self._parts += 1
        return f"{self._prefix}-{self._parts:06d}"


def _why(assignment: Assignment, reason: str | None) -> str:
    """Why a trial is given up."""
    if reason is not None:
        return f"no memory for it alone, {assignment.breaks} times in a row: {reason}"
    return f"its worker died {assignment.breaks} times while it trained"
