"""nnU-Net's predictor and ours on the same femur, in one run.

``python -m tests.benchmarks.nnunet_peer`` prints Markdown; it needs PyTorch, MONAI and
``pip install nnunetv2``. nnU-Net runs its default 3D network (``3d_fullres``, six stages, patches
of 128 x 128 x 128) with random weights, so this is about time alone, and about one network that
gives background, cortex and inside at once. The row marked * was not run: nnU-Net by default
mirrors each window along three axes, which is eight times the network.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from service.domain.imaging import CroppedVolume
from service.settings import Settings
from tests.benchmarks.femur_schemes import (
    Cost,
    cost_table,
    load_cascade,
    ours,
    phantom_femur,
    run,
)

FEATURES = (32, 64, 128, 256, 320, 320)
"""Of nnU-Net's planner for patches of 128 x 128 x 128: doubled per stage up to 320."""

PATCH_ZYX = (128, 128, 128)

LABELS = {"background": 0, "cortex": 1, "inside": 2}

MIRRORED_PASSES = 8


def plans() -> PlansManager:
    """What nnU-Net's planner writes, as far as its predictor reads it."""
    stages = len(FEATURES)
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": FEATURES,
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * stages,
            "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    fullres = {"patch_size": PATCH_ZYX, "architecture": architecture}
    return PlansManager(
        {"configurations": {"3d_fullres": fullres}, "label_manager": "LabelManager"}
    )


def nnunet() -> nnUNetPredictor:
    """nnU-Net's predictor at its defaults, without the mirrored passes."""
    planned = plans()
    configuration = planned.get_configuration("3d_fullres")
    network = nnUNetTrainer.build_network_architecture(
        planned, configuration, 1, len(LABELS), enable_deep_supervision=False
    )
    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        network, planned, configuration, None, {"labels": LABELS}, "nnUNetTrainer", None
    )
    return predictor


def nnunet_cost(crop: CroppedVolume) -> Cost:
    """What nnU-Net's sliding window takes over a crop."""
    predictor = nnunet()
    windows = 0

    def count(*_: object) -> None:
        nonlocal windows
        windows += 1

    predictor.network.register_forward_hook(count)
    image = torch.from_numpy(crop.hu.copy())[None]
    started, cpu_started = time.perf_counter(), time.process_time()
    predictor.predict_sliding_window_return_logits(image)
    return Cost(windows, time.perf_counter() - started, time.process_time() - cpu_started)


def main(
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Compare on one phantom; weights, provider and threads as the environment says."""
    loaded = load_cascade(Settings())
    with tempfile.TemporaryDirectory() as folder:
        femur = phantom_femur(seed, Path(folder))
    costs = {"ours, both networks": run(femur, loaded, ours(None), in_box=True)}
    alone = nnunet_cost(femur.crop)
    costs["nnU-Net, without mirrored passes"] = alone
    costs["nnU-Net, its default *"] = alone.times(MIRRORED_PASSES)
    shape = " x ".join(map(str, femur.crop.hu.shape))
    print(f"crop {shape}, {loaded.periosteal.provider}, load {os.getloadavg()[0]:.1f}\n")
    print(cost_table(costs))


if __name__ == "__main__":
    typer.run(main)
