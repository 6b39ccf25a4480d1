#!/usr/bin/env python3
"""8: does the driver honour a time-slice that it is told?

Two plain tenants, one that floods and one that asks for a kernel of 0.1 ms now and then, under the shortest
and the longest slice that nvidia-smi sets. Mark: none, it is a question; the answer is yes where the longest
slice makes the small kernel's median wait at least 1.5 times that under the shortest. Needs root, and sets
the slice back to the driver's own at the end.
"""

import shutil
import subprocess
import sys

import bench as b
from e05_shares import flood
from e06_idle_partner import come_and_go

SLICES = (("short", "1"), ("long", "3"))


def measure(bench):
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise b.Skip("no nvidia-smi")

    def set_slice(value):
        done = subprocess.run([tool, "compute-policy", "-i", bench.uuid(), f"--set-timeslice={value}"], text=True,
                              capture_output=True, timeout=60, check=False)
        if done.returncode:
            raise b.Skip(f"nvidia-smi sets no slice: {(done.stdout + done.stderr).strip()}")
    waits = {}
    try:
        for name, value in SLICES:
            set_slice(value)
            spans = sorted(bench.together(("flood", None, 1000, 1), ("come_and_go", None))[1]["spans"])
            waits[name] = spans[len(spans) // 2] * 1000
            bench.figure(f"a kernel of 1 ms under the {name} slice, median", waits[name], "ms")
    finally:
        set_slice("0")
    bench.figure("honoured", int(waits["long"] >= 1.5 * waits["short"]), "1: yes")


if __name__ == "__main__":
    sys.exit(b.main(8, "time-slice", __file__, measure, {"flood": flood, "come_and_go": come_and_go}))
