"""The networks' window along z; no third-party import, since the command line's help reads it."""

from __future__ import annotations

WINDOW_DEPTH = 64
"""Slices of one window (paper, section 2.3: 192 x 192 x 64)."""

MAX_STRIDE_Z = WINDOW_DEPTH
"""Most slices between two windows; at a larger stride they leave slices between them unseen."""
