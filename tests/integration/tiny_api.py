"""The real API on the settings of the environment; prints its address."""

from __future__ import annotations

from service import bootstrap
from service.settings import Settings

if __name__ == "__main__":
    bootstrap.run_api(Settings(), on_ready=lambda url: print(url, flush=True))
