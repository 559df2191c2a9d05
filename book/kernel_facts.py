"""What a kernel knows about the run it has just made; executed in it after a chapter's last cell.

Prints one line of JSON: the modules of `companion` that were imported, versions, device.
"""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

PACKAGES = ("torch", "transformers", "datasets", "companion")


def processor() -> str:
    """The processor's name without trade marks and clock rates, such as 'AMD EPYC 7B13'."""
    name = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
        name = names[0] if names else ""
    elif sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    name = re.sub(r"\((R|TM|r|tm)\)|@.*|\b\d+-Core\b|\b(CPU|Processor)\b", " ", name)
    return " ".join(name.split()) or platform.machine()


def device() -> str:
    """The accelerator that torch sees, or the processor and its usable cores."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    if torch is not None and torch.backends.mps.is_available():
        return f"{processor()} GPU"
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{usable}-core {processor()} CPU"


def facts() -> dict[str, object]:
    """`modules` (name to file), `versions` (package to version), `device`."""
    modules = {
        name: module.__file__
        for name, module in sys.modules.items()
        if name.split(".")[0] == "companion" and getattr(module, "__file__", None)
    }
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return {"modules": modules, "versions": versions, "device": device()}


if __name__ == "__main__":
    print(json.dumps(facts()))
