"""The training loop: seeded, resumable, within a budget of steps or minutes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from model_export.checkpoint import (
    CHECKPOINT_NAME,
    Checkpoint,
    CurvePoint,
    RunError,
    append_curve,
    load_checkpoint,
    trim_curve,
)
from model_export.config import TrainingConfig
from model_export.dataset import Patch, PatchSource
from model_export.losses import training_loss
from model_export.networks import network_of
from model_export.vnet import scale_hu

NORM_STREAM = 10_000_000
"""First number of the patches that batch-norm statistics are estimated on."""


@dataclass(frozen=True)
class Budget:
    """When a run ends: after ``steps``, or after ``minutes`` of training, resumed ones included."""

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise RunError("a budget is given either in steps or in minutes")
        if (self.steps or self.minutes or 0) <= 0:
            raise RunError("a budget must be more than nothing")

    def share_used(self, step: int, seconds: float) -> float:
        """0 at the start, 1 and above when used up."""
        if self.steps is not None:
            return step / self.steps
        return seconds / (60 * (self.minutes or 1.0))


@dataclass(frozen=True)
class RunPlan:
    """What to train on, where to write, how long, and from which weights.

    Attributes:
        cases: folder with ``train`` and, if validated, ``validation``.
        run: folder of the checkpoint and the curve.
        budget: of the whole run.
        initial: another run's folder or checkpoint to take weights from; None for random ones.
    """

    cases: Path
    run: Path
    budget: Budget
    initial: Path | None = None


def learning_rate(config: TrainingConfig, share_used: float) -> float:
    """The rate at a share of the budget: linear warm-up, then constant or a half cosine to 0."""
    if share_used < config.warmup_share:
        return config.learning_rate * max(share_used / config.warmup_share, 0.01)
    if config.schedule == "constant":
        return config.learning_rate
    progress = (share_used - config.warmup_share) / (1 - config.warmup_share)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Trainer:
    """One run, fresh or resumed from its folder.

    Args:
        config: of a fresh run; a resumed one must have the same.
        plan: see ``RunPlan``.

    Raises:
        RunError: if the folder holds a run of another configuration.
        CaseError: if there is no case to train on.
    """

    def __init__(self, config: TrainingConfig, plan: RunPlan) -> None:
        self.config, self.plan = config, plan
        self.source = PatchSource(plan.cases / "train", config)
        validation = plan.cases / "validation"
        wanted = config.validation_patches if any(validation.glob("*.npz")) else 0
        held_out = PatchSource(validation, config) if wanted else None
        self.validation = [held_out.validation_patch(i) for i in range(wanted)] if held_out else []
        torch.manual_seed(config.seed)
        # channels last is a fifth faster on a CPU: oneDNN needs no reordering
        self.network = network_of(config)
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self.step, self.seconds, self.norm_frozen = 0, 0.0, False
        self._unwritten: list[CurvePoint] = []
        self._restore()

    def train(self, stopped: Callable[[], bool]) -> Iterator[CurvePoint]:
        """Yields a point per step until the budget is used or ``stopped()``; then saves.

        Args:
            stopped: asked between steps, for instance by a signal handler's flag.
        """
        budget = self.plan.budget
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="patches") as loader:
            upcoming = loader.submit(self.source.training_patch, self.step)
            while not stopped() and budget.share_used(self.step, self.seconds) < 1:
                started = time.monotonic()
                patch = upcoming.result()
                upcoming = loader.submit(self.source.training_patch, self.step + 1)
                point = self._advance(patch, started)
                self._unwritten.append(point)
                if self.step % self.config.checkpoint_every == 0:
                    self.save()
                yield point
        self.save()

    def save(self) -> None:
        """Writes the curve, then the checkpoint: killed in between, the curve is trimmed."""
        append_curve(self.plan.run, self._unwritten)
        self._unwritten.clear()
        share = self.plan.budget.share_used(self.step, self.seconds)
        if share >= 1 and not self.norm_frozen:
            self._estimate_norm()
        Checkpoint(
            configuration=self.config.model_dump_json(),
            network=self.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            step=self.step,
            seconds=self.seconds,
            norm_frozen=self.norm_frozen,
            finished=share >= 1,
            cases=self.source.summary,
        ).save(self.plan.run / CHECKPOINT_NAME)

    def _advance(self, patch: Patch, started: float) -> CurvePoint:
        share = self.plan.budget.share_used(self.step, self.seconds)
        if share >= self.config.freeze_norm_at and not self.norm_frozen:
            self._estimate_norm()
            self.norm_frozen = True
        self.network.train(not self.norm_frozen)
        rate = learning_rate(self.config, share)
        loss = self._descend(patch, rate)
        self.step += 1
        dice_real, dice_phantom = None, None
        if self.validation and self.step % self.config.validate_every == 0:
            dice_real, dice_phantom = self._validate()
        self.seconds += time.monotonic() - started
        return CurvePoint(self.step, loss, rate, round(self.seconds, 1), dice_real, dice_phantom)

    def _descend(self, patch: Patch, rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.network(scale_hu(patch.hu))
        loss = training_loss(logits, patch.target, patch.weight, self.config.dice_weight)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        return float(loss.detach())

    @torch.no_grad()
    def _estimate_norm(self) -> None:
        """Sets the running statistics to their mean over training patches."""
        layers = [m for m in self.network.modules() if isinstance(m, nn.BatchNorm3d)]
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None
        self.network.train()
        for number in range(NORM_STREAM, NORM_STREAM + self.config.norm_patches):
            self.network(scale_hu(self.source.training_patch(number).hu))
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum

    @torch.no_grad()
    def _validate(self) -> tuple[float | None, float | None]:
        """Dice over the trusted voxels of the real and of the phantom validation patches."""
        if not self.norm_frozen:
            self._estimate_norm()
        self.network.eval()
        overlap = {"real": 0.0, "phantom": 0.0}
        total = {"real": 0.0, "phantom": 0.0}
        for patch in self.validation:
            origin = "phantom" if patch.kind == "phantom" else "real"
            logits = self.network(scale_hu(patch.hu))
            found = (logits[:, 1] > logits[:, 0]) * patch.weight
            truth = patch.target * patch.weight
            overlap[origin] += float((found * truth).sum())
            total[origin] += float(found.sum() + truth.sum())
        real, phantom = (
            round(2 * overlap[o] / total[o], 4) if total[o] else None for o in ("real", "phantom")
        )
        return real, phantom

    def _restore(self) -> None:
        run = self.plan.run
        run.mkdir(parents=True, exist_ok=True)
        if not (run / CHECKPOINT_NAME).exists():
            trim_curve(run, 0)
            if self.plan.initial is not None:
                self.network.load_state_dict(load_checkpoint(self.plan.initial).network)
            return
        checkpoint = load_checkpoint(run)
        if checkpoint.config() != self.config:
            raise RunError(f"{run} holds a run of another configuration; choose another folder")
        self.network.load_state_dict(checkpoint.network)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.step, self.seconds = checkpoint.step, checkpoint.seconds
        self.norm_frozen = checkpoint.norm_frozen
        trim_curve(run, self.step)
