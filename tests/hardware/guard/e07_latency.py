#!/usr/bin/env python3
"""7: a latency-critical tenant that answers requests, beside a best-effort one that floods the GPU.

Mark: the requests' 99th percentile is at most 1.2 times what it is alone, and the flood does at least 60 %
of the work that the requests leave. Beside it in the same run: plain time-slicing, and MPS where its
daemon can be started.
"""

import os
import shutil
import subprocess
import sys
import time

import bench as b
from e05_shares import flood


def requests(cuda):
    """Each is 50 kernels of 0.1 ms, one after the other; then a pause of 5 to 25 ms."""
    launch, stream, event = cuda.spin(100), cuda.stream(), cuda.event()
    _, end = b.moment()
    spans, pause = [], 5
    while time.monotonic() < end:
        begin = time.monotonic()
        for _ in range(50):
            launch(stream)
        cuda("cuEventRecord", event, stream)
        cuda.wait(event)
        spans.append(time.monotonic() - begin)
        pause = 5 + pause * 7 % 21
        time.sleep(pause / 1000)
    spans.sort()
    b.answer({"p50": spans[len(spans) // 2] * 1000, "p99": spans[int(0.99 * (len(spans) - 1))] * 1000,
              "busy": len(spans) * 0.005})


def with_mps(bench, run):
    """Starts the daemon in a folder of its own; None where it cannot be."""
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None:
        return None
    places = {"CUDA_MPS_PIPE_DIRECTORY": os.path.join(bench.folder, "mps"),
              "CUDA_MPS_LOG_DIRECTORY": os.path.join(bench.folder, "mps")}
    os.makedirs(places["CUDA_MPS_PIPE_DIRECTORY"])
    os.environ.update(places)
    try:
        if subprocess.run([control, "-d"], check=False).returncode != 0:
            return None
        said = run()
        subprocess.run([control], input="quit\n", text=True, timeout=60, check=False)
        return said
    finally:
        for name in places:
            del os.environ[name]


def measure(bench):
    seconds = bench.options.seconds
    alone = bench.together(("requests", None))[0]
    whole = bench.together(("flood", None, 100, 1))[0]["done"]
    bench.figure("alone: 99th percentile", alone["p99"], "ms")

    def tell(name, said, marked=False):
        left = max(0.0, 1 - said[0]["busy"] / seconds)
        bench.figure(f"{name}: 99th percentile", said[0]["p99"] / alone["p99"], "of alone",
                     most=1.2 if marked else None)
        bench.figure(f"{name}: the flood does", said[1]["done"] / max(1, whole * left) * 100,
                     "% of what is left", least=60 if marked else None)

    def both():
        return bench.together(("requests", None), ("flood", None, 100, 1))
    tell("plain time-slicing", both())
    mps = with_mps(bench, both)
    if mps is None:
        bench.skip_part("MPS", "nvidia-cuda-mps-control is not there, or does not start")
    else:
        tell("MPS", mps)
    settings, end = bench.broker([(50, not bench.options.sabotage), (50, bench.options.sabotage)])
    said = bench.together(("requests", settings[0]), ("flood", settings[1], 100, 1))
    end()
    tell("guard", said, marked=True)


if __name__ == "__main__":
    sys.exit(b.main(7, "latency", __file__, measure, {"flood": flood, "requests": requests}))
