"""``make bench``: accuracy on unseen phantoms, time and memory per stage, speed beside others."""

from __future__ import annotations

from importlib.util import find_spec

from tests.benchmarks import phantom_accuracy, resources


def main() -> None:
    """Run each with its defaults; what compares with PyTorch and MONAI only where they are."""
    phantom_accuracy.main()
    print()
    resources.main()
    print()
    if find_spec("torch") is None or find_spec("monai") is None:
        print("the comparison with PyTorch and MONAI needs both: make bench installs them")
        return
    from tests.benchmarks import femur_schemes, window_runtimes

    window_runtimes.main()
    print()
    femur_schemes.main()


if __name__ == "__main__":
    main()
