"""``make bench``: accuracy on unseen phantoms, then time and memory per stage."""

from __future__ import annotations

from tests.benchmarks import phantom_accuracy, resources


def main() -> None:
    """Run both with their defaults."""
    phantom_accuracy.main()
    print()
    resources.main()


if __name__ == "__main__":
    main()
