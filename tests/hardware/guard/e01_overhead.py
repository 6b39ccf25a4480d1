#!/usr/bin/env python3
"""1: what a call costs more under the guard.

Mark: cuLaunchKernel at most 15 ns more in the median; a step of training with PyTorch at most 1 % longer.
Bare and guarded take turns, five times each, so that clocks that change meet both.
"""

import os
import shutil
import statistics
import subprocess
import sys

import bench as b

TRAIN = """
import time, torch
torch.manual_seed(0)
model = torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(512, 8, batch_first=True), 6).cuda()
optimizer = torch.optim.AdamW(model.parameters())
data = torch.randn(16, 128, 512, device="cuda")
def step():
    optimizer.zero_grad(set_to_none=True)
    model(data).square().mean().backward()
    optimizer.step()
for _ in range(20): step()
spans = []
for _ in range(50):
    torch.cuda.synchronize(); begin = time.perf_counter(); step(); torch.cuda.synchronize()
    spans.append(time.perf_counter() - begin)
print(sorted(spans)[25])
"""


def run(bench, words, settings):
    done = subprocess.run(words, env=bench.environment(settings), text=True, capture_output=True, timeout=600,
                          check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout)


def measure(bench):
    compiler = shutil.which("cc") or shutil.which("nvcc")
    if compiler is None:
        raise b.Skip("no C compiler")
    program = os.path.join(bench.folder, "call_cost")
    without = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    subprocess.run([compiler, "-O2", "-o", program, str(b.HERE / "call_cost.c"), "-ldl"], check=True, env=without)
    for call, most in (("launch", 15), ("info", None), ("alloc", None)):
        bare, guarded = [], []
        for _ in range(1 if bench.options.brief else 5):
            for library, settings, to in ((bench.real.path, None, bare), (bench.options.guard, bench.limits(), guarded)):
                environment = {**os.environ, "TESSERA_GUARD_CUDA": bench.real.path, **(settings or {})}
                done = subprocess.run([program, library, str(bench.options.gpu), call], env=environment,
                                      text=True, capture_output=True, timeout=120, check=False)
                if done.returncode:
                    raise RuntimeError(f"call_cost {call}: {done.stderr.strip()}")
                to.append(float(done.stdout))
        bench.figure(f"{call}, bare", statistics.median(bare), "ns")
        bench.figure(f"{call}, more under the guard", statistics.median(guarded) - statistics.median(bare),
                     "ns", most=most)
    try:
        import torch  # noqa: F401
    except ImportError:
        return bench.skip_part("a step of training", "no PyTorch")
    spans = {}
    for _ in range(3):
        for name, settings in (("bare", None), ("guarded", bench.limits(4))):
            spans.setdefault(name, []).append(run(bench, [sys.executable, "-c", TRAIN], settings))
    bare, guarded = (statistics.median(spans[name]) for name in ("bare", "guarded"))
    bench.figure("a step of training, bare", bare * 1000, "ms")
    return bench.figure("a step of training, longer", (guarded / bare - 1) * 100, "%", most=1)


if __name__ == "__main__":
    sys.exit(b.main(1, "overhead", __file__, measure, {}))
