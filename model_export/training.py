"""The training loop: seeded, resumable, within a budget of steps or minutes."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from model_export.case_sets import CaseSets
from model_export.checkpoint import (
    BEST_NAME,
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
from model_export.first_weights import first_weights
from model_export.losses import training_loss
from model_export.networks import available_device, half_precision, network_of
from model_export.schedule import Budget, budget_of, learning_rate
from model_export.vnet import scale_hu

NORM_STREAM = 10_000_000
"""First number of the patches that batch-norm statistics are estimated on."""


@dataclass(frozen=True)
class RunPlan:
    """What to train on, where to write, how long, and from which weights.

    Attributes:
        cases: to train on and, if any, to validate with.
        run: folder of the checkpoint and the curve.
        budget: of the whole run; None for the configuration's own.
        initial: what to take weights from (``first_weights``); None for random ones.
    """

    cases: CaseSets
    run: Path
    budget: Budget | None = None
    initial: Path | None = None


class Trainer:
    """One run, fresh or resumed from its folder.

    Args:
        config: of a fresh run; a resumed one must have the same.
        plan: see ``RunPlan``; a resumed run must have the same cases and budget.

    Attributes:
        budget: of the whole run.
        step, seconds: how far it is.

    Raises:
        RunError: if the folder holds a run of another configuration, other cases or another
            budget, if there is no budget, or no validation case to choose the best weights by.
        CaseError: if there is no case to train on.
    """

    def __init__(self, config: TrainingConfig, plan: RunPlan) -> None:
        self.config, self.plan = config, plan
        self.source = PatchSource(plan.cases.train, config)
        self.budget = plan.budget or budget_of(config, self.source.count)
        wanted = config.validation_patches if plan.cases.validation else 0
        held_out = PatchSource(plan.cases.validation, config) if wanted else None
        self.validation = [held_out.validation_patch(i) for i in range(wanted)] if held_out else []
        if config.select == "best" and not self.validation:
            raise RunError(
                f"configuration {config.name} keeps the weights of the best validation DSC, but "
                "there is no case to validate with; put some into CASES/validation and the others "
                "into CASES/train, or cross-validate"
            )
        self.cases = self.source.summary
        self.device = available_device()
        self.half = half_precision(config, self.device)
        torch.manual_seed(config.seed)
        # channels last is a fifth faster on a CPU: oneDNN needs no reordering
        self.network = network_of(config)
        self.network.to(self.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        # gradients of float16 vanish unless the loss is scaled; otherwise this does nothing
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.half is torch.float16)
        self.step, self.seconds, self.norm_frozen, self.best_dice = 0, 0.0, False, 0.0
        self._unwritten: list[CurvePoint] = []
        self._restore()

    def train(self, stopped: Callable[[], bool]) -> Iterator[CurvePoint]:
        """Yields a point per step until the budget is used or ``stopped()``; then saves.

        Args:
            stopped: asked between steps, for instance by a signal handler's flag.
        """
        with _upcoming(self.source, self.step, self.device) as patches:
            while not stopped() and self._share_used() < 1:
                started = time.monotonic()
                point = self._advance(next(patches), started)
                self._unwritten.append(point)
                if self.step % self.config.checkpoint_every == 0:
                    self.save()
                yield point
        self.save()

    def save(self) -> None:
        """Writes the curve, then the checkpoint: killed in between, the curve is trimmed."""
        append_curve(self.plan.run, self._unwritten)
        self._unwritten.clear()
        if self._share_used() >= 1 and not self.norm_frozen:
            self._estimate_norm()
        self._checkpoint().save(self.plan.run / CHECKPOINT_NAME)

    def _share_used(self) -> float:
        return self.budget.share_used(self.step, self.seconds)

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(
            configuration=self.config.model_dump_json(),
            network=self.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            step=self.step,
            seconds=self.seconds,
            norm_frozen=self.norm_frozen,
            finished=self._share_used() >= 1,
            cases=self.cases,
            scaler=self.scaler.state_dict(),
            best_dice=self.best_dice,
            case_names_sha256=self.plan.cases.names_sha256,
            budget=str(self.budget),
        )

    def _advance(self, patch: Patch, started: float) -> CurvePoint:
        share = self._share_used()
        if share >= self.config.freeze_norm_at and not self.norm_frozen:
            self._estimate_norm()
            self.norm_frozen = True
        self.network.train(not self.norm_frozen)
        rate = learning_rate(self.config, share)
        loss = self._descend(patch, rate)
        self.step += 1
        dice_real, dice_phantom = None, None
        last = self.budget.share_used(self.step, self.seconds + time.monotonic() - started) >= 1
        if self.validation and (last or self.step % self.config.validate_every == 0):
            dice_real, dice_phantom = self._validate()
            self._keep_best([dice for dice in (dice_real, dice_phantom) if dice is not None])
        self.seconds += time.monotonic() - started
        return CurvePoint(self.step, loss, rate, round(self.seconds, 1), dice_real, dice_phantom)

    def _keep_best(self, dice: list[float]) -> None:
        """Writes ``best.pt`` if no validation was better; real and phantom cases count alike."""
        score = sum(dice) / len(dice) if dice else 0.0
        if score > self.best_dice:
            self.best_dice = score
            replace(self._checkpoint(), optimizer={}).save(self.plan.run / BEST_NAME)

    def _descend(self, patch: Patch, rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        patch = patch.to(self.device)
        logits = self._logits(patch.hu)
        loss = training_loss(logits, patch.target, patch.weight, self.config.dice_weight)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.config.gradient_clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return float(loss.detach())

    def _logits(self, hu: Tensor) -> Tensor:
        """float32 logits of a patch, computed in half precision where configured."""
        enabled = self.half is not None
        with torch.autocast(self.device.type, dtype=self.half, enabled=enabled):
            logits: Tensor = self.network(scale_hu(hu.to(self.device)))
        return logits.float()

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
            self._logits(self.source.training_patch(number).hu)
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
            logits = self._logits(patch.hu).cpu()
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
                first = first_weights(self.plan.initial, self.config)
                self.network.load_state_dict(first.network)
                self.norm_frozen = first.norm_frozen
                self.cases += f", first weights of {first.cases}"
            return
        checkpoint = load_checkpoint(run)
        self._require_same(checkpoint)
        self.cases = checkpoint.cases
        self.network.load_state_dict(checkpoint.network)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.scaler.load_state_dict(checkpoint.scaler)
        self.step, self.seconds = checkpoint.step, checkpoint.seconds
        self.norm_frozen, self.best_dice = checkpoint.norm_frozen, checkpoint.best_dice
        trim_curve(run, self.step)

    def _require_same(self, checkpoint: Checkpoint) -> None:
        """Raises RunError where a resumed run would not be the one that was begun."""
        same = {
            "configuration": checkpoint.config() == self.config,
            "set of cases": checkpoint.case_names_sha256 == self.plan.cases.names_sha256,
            "budget": checkpoint.budget == str(self.budget),
        }
        differing = [what for what, is_same in same.items() if not is_same]
        if differing:
            raise RunError(
                f"{self.plan.run} holds a run of another {' and another '.join(differing)}; ask "
                "for the same, or choose another folder"
            )


@contextmanager
def _upcoming(source: PatchSource, first: int, device: torch.device) -> Iterator[Iterator[Patch]]:
    """Training patches from number ``first`` on, made ahead of their use.

    One thread makes them while a CPU trains, all cores but one while another device does.
    """
    threads = 1 if device.type == "cpu" else max(1, (os.cpu_count() or 1) - 1)
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="patches") as loader:
        ahead: deque[Future[Patch]] = deque(
            loader.submit(source.training_patch, first + i) for i in range(threads)
        )

        def patches() -> Iterator[Patch]:
            number = first + threads
            while True:
                patch = ahead.popleft().result()
                ahead.append(loader.submit(source.training_patch, number))
                number += 1
                yield patch

        try:
            yield patches()
        finally:
            loader.shutdown(cancel_futures=True)
