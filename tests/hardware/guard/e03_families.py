#!/usr/bin/env python3
"""3: each way to get memory, alone: refused at the quota, and given back to the last byte.

Mark: for every family the driver says "out of memory" after at least three quarters of the quota, the
GPU's own figure never rises above the quota, and after the last free the charge is 0.
"""

import ctypes as c
import sys

import bench as b

CHUNK = 64 * b.MIB


class Properties(c.Structure):  # CUmemPoolProps, whose beginning is CUmemAllocationProp
    _fields_ = [("type", c.c_int), ("handles", c.c_int), ("where", c.c_int), ("device", c.c_int),
                ("win32", c.c_void_p), ("rest", c.c_ubyte * 64)]


class Array(c.Structure):
    _fields_ = [("width", c.c_size_t), ("height", c.c_size_t), ("depth", c.c_size_t), ("format", c.c_int),
                ("channels", c.c_uint), ("flags", c.c_uint)]


def on_gpu(gpu):
    return Properties(1, 0, 1, gpu)


def linear(cuda, to):
    return cuda.code("cuMemAlloc_v2", c.byref(to), c.c_size_t(CHUNK))


def managed(cuda, to):
    return cuda.code("cuMemAllocManaged", c.byref(to), c.c_size_t(CHUNK), 1)


def pitched(cuda, to):
    return cuda.code("cuMemAllocPitch_v2", c.byref(to), c.byref(c.c_size_t()), c.c_size_t(65000),
                     c.c_size_t(1024), 4)


def stream_ordered(cuda, to):
    return cuda.code("cuMemAllocAsync", c.byref(to), c.c_size_t(CHUNK), None)


def stream_ordered_per_thread(cuda, to):
    return cuda.code("cuMemAllocAsync_ptsz", c.byref(to), c.c_size_t(CHUNK), None)


def pooled(cuda, to):
    if not hasattr(cuda, "pool"):
        cuda.pool = c.c_void_p()
        cuda("cuMemPoolCreate", c.byref(cuda.pool), c.byref(on_gpu(cuda.gpu)))
    return cuda.code("cuMemAllocFromPoolAsync", c.byref(to), c.c_size_t(CHUNK), cuda.pool, None)


def by_handle(cuda, to):
    return cuda.code("cuMemCreate", c.byref(to), c.c_size_t(CHUNK), c.byref(on_gpu(cuda.gpu)), c.c_ulonglong(0))


def array(cuda, to):
    return cuda.code("cuArray3DCreate_v2", c.byref(to), c.byref(Array(4096, 4096, 0, 0x20, 1, 0)))


def mipmapped(cuda, to):
    return cuda.code("cuMipmappedArrayCreate", c.byref(to), c.byref(Array(4096, 2048, 0, 0x20, 1, 0)), 8)


def free(cuda, piece):
    cuda("cuMemFree_v2", piece)


def free_async(cuda, piece):
    cuda("cuMemFreeAsync", piece, None)


FAMILIES = {"linear": (linear, free), "managed": (managed, free), "pitched": (pitched, free),
            "stream-ordered": (stream_ordered, free_async),
            "stream-ordered, per thread": (stream_ordered_per_thread, free_async),
            "pool": (pooled, free_async),
            "by handle": (by_handle, lambda cuda, piece: cuda("cuMemRelease", piece)),
            "array": (array, lambda cuda, piece: cuda("cuArrayDestroy", piece)),
            "mipmapped array": (mipmapped, lambda cuda, piece: cuda("cuMipmappedArrayDestroy", piece))}


def fill(cuda, family, driver, most):
    """Until it is refused, or `most` bytes too many: the driver's own figures beside the guard's."""
    get, give = FAMILIES[family]
    real = b.Library(driver)
    free_now, total = c.c_size_t(), c.c_size_t()

    def physical():
        real("cuMemGetInfo_v2", c.byref(free_now), c.byref(total))
        return total.value - free_now.value
    before, pieces, code = physical(), [], 0
    while not code and len(pieces) * CHUNK < int(most):
        piece = c.c_uint64()
        code = get(cuda, piece)
        if not code:
            pieces.append(piece)
    highest = physical() - before
    for piece in pieces:
        give(cuda, piece)
    cuda("cuCtxSynchronize")
    if hasattr(cuda, "pool"):
        cuda("cuMemPoolDestroy", cuda.pool)
    b.answer({"code": code, "held": len(pieces) * CHUNK, "physical": highest, "left": cuda.used()})


def measure(bench):
    for family in FAMILIES:
        said = bench.ask("fill", family, bench.real.path, 3 * bench.quota(), settings=bench.limits())
        if said["code"] not in (0, b.OUT_OF_MEMORY):
            bench.skip_part(family, f"the driver answers {said['code']}")
            continue
        bench.figure(f"{family}: refused by out of memory", int(said["code"] == b.OUT_OF_MEMORY), "1: yes", least=1)
        bench.figure(f"{family}: got", said["held"] / bench.quota() * 100, "% of the quota", least=75)
        bench.figure(f"{family}: the GPU's own figure", said["physical"] / bench.quota() * 100, "% of the quota", most=102)
        bench.figure(f"{family}: charged after the last free", said["left"], "bytes", most=0)


if __name__ == "__main__":
    sys.exit(b.main(3, "families", __file__, measure, {"fill": fill}))
