#!/usr/bin/env python3
"""10: how soon what goes around the guard can be seen from outside.

Each program is given a quota and takes twice as much around it. Mark: within 2 s NVML names the process,
with its memory, so that whoever looks there every second can act. The guard itself closes none of
these ways (docs/guard.md), and nothing here ends the program: what is measured is what an agent could know.
"""

import ctypes as c
import os
import shutil
import sys
import time

import bench as b


class Process(c.Structure):
    _fields_ = [("pid", c.c_uint), ("memory", c.c_ulonglong), ("instance", c.c_uint), ("compute", c.c_uint)]


def take(cuda, quota, contexts):
    """Takes twice the quota, in so many contexts more."""
    for _ in range(int(contexts)):
        context = c.c_void_p()
        cuda("cuCtxCreate_v2", c.byref(context), 0, cuda.gpu)
    piece = c.c_uint64()
    begin = time.monotonic()
    code = cuda.code("cuMemAlloc_v2", c.byref(piece), c.c_size_t(2 * int(quota)))
    b.answer({"code": code, "at": begin})
    sys.stdin.readline()


def memory_of(bench, pid):
    nvml, handle = bench.gpu_of_nvml()
    found, count = (Process * 256)(), c.c_uint(256)
    nvml("nvmlDeviceGetComputeRunningProcesses_v3", handle, c.byref(count), found)
    return sum(each.memory for each in found[:count.value] if each.pid == pid)


def measure(bench):
    copy = os.path.join(bench.folder, "libdriver.so")
    shutil.copy(bench.real.path, copy)
    ways = (("the driver by its path", bench.real.path, 0), ("a copy of the driver", copy, 0),
            ("four contexts more", bench.real.path, 4))
    for name, driver, contexts in ways:
        mine, bench.real.path = bench.real.path, driver
        worker = bench.start("take", bench.quota(), contexts, extra=bench.limits())
        bench.real.path = mine
        said = b.json.loads(worker.stdout.readline())
        if said["code"]:
            bench.skip_part(name, f"it does not get so far: the driver answers {said['code']}")
        else:
            while memory_of(bench, worker.pid) < 2 * bench.quota() and time.monotonic() < said["at"] + 10:
                time.sleep(0.05)
            bench.figure(f"{name}: seen after", time.monotonic() - said["at"], "s", most=2)
        worker.communicate("\n", timeout=60)
    for name in ("raw ioctl", "Vulkan"):
        bench.skip_part(name, "no program for it here")


if __name__ == "__main__":
    sys.exit(b.main(10, "escapes", __file__, measure, {"take": take}))
