"""On which machine was that measured? Its processor, cache, cores and system, as far as they can be found out."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["machine"]


def machine() -> dict[str, str]:
    """Return what the machine is, how busy it is already, and the version of Python."""
    load = {"load average before": f"{os.getloadavg()[0]:.1f}"} if hasattr(os, "getloadavg") else {}
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        **load,
        "Python": platform.python_version(),
    }


def _processor() -> str:
    """Return the processor's name and the size of its last cache, where the system tells."""
    name = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.exists():
        lines = [
            line.split(":", 1) for line in described.read_text(encoding="utf-8").splitlines() if ":" in line
        ]
        fields = {key.strip(): value.strip() for key, value in reversed(lines)}
        name = f"{fields.get('model name', name)} (family {fields.get('cpu family', '?')}, "
        name += f"model {fields.get('model', '?')})"
    sizes = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"))
    return f"{name}, last cache {sizes[-1].read_text(encoding='utf-8').strip()}" if sizes else name
