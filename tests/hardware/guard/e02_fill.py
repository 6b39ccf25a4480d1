#!/usr/bin/env python3
"""2: PyTorch fills the GPU until it is refused, with each of its three allocators.

Mark: it gets at least the quota less 2 %, the GPU's own figure never rises above the quota by more than
2 % (and one context), PyTorch raises OutOfMemoryError, and the process goes on and can allocate again.
"""

import json
import subprocess
import sys

import bench as b

FILL = """
import json, torch
torch.cuda.init(); torch.empty(1, device="cuda")
held, refused = [], None
for size in (64 << 20, 2 << 20):
    try:
        while len(held) < 100_000: held.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
    except torch.cuda.OutOfMemoryError as error: refused = type(error).__name__
bytes_held = sum(each.numel() for each in held)
print(json.dumps({"held": bytes_held}), flush=True); input()
held.clear(); torch.cuda.empty_cache()
print(json.dumps({"refused": refused, "again": torch.ones(1 << 20, device="cuda").sum().item()}))
"""
ALLOCATORS = ("backend:native", "backend:cudaMallocAsync", "expandable_segments:True")


def measure(bench):
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise b.Skip("no PyTorch") from error
    for allocator in ALLOCATORS:
        before = bench.physical()
        program = subprocess.Popen(
            [sys.executable, "-c", FILL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**bench.environment(bench.limits()), "PYTORCH_CUDA_ALLOC_CONF": allocator})
        held = json.loads(program.stdout.readline())["held"]
        physical = bench.physical() - before
        last = json.loads(program.communicate("\n", timeout=300)[0].splitlines()[-1])
        bench.figure(f"{allocator}: held", held / bench.quota() * 100, "% of the quota", least=98)
        bench.figure(f"{allocator}: physical, less one context", (physical - context_bytes(bench)) / bench.quota() * 100,
                     "% of the quota", most=102)
        bench.figure(f"{allocator}: OutOfMemoryError, and it goes on",
                     int(last["refused"] == "OutOfMemoryError" and last["again"] == 1 << 20), "1: yes", least=1)


def context_bytes(bench):
    """What PyTorch's context alone takes."""
    before = bench.physical()
    program = subprocess.Popen([sys.executable, "-c", "import torch; torch.empty(1, device='cuda'); print(); input()"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env=bench.environment())
    program.stdout.readline()
    taken = bench.physical() - before
    program.communicate("\n", timeout=60)
    return taken


if __name__ == "__main__":
    sys.exit(b.main(2, "fill", __file__, measure, {}))
