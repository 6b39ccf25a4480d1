#!/usr/bin/env python3
"""9: tenant B's kernel touches a wrong address, traps, or never ends; tenant A works beside it.

Mark: A's work goes on without an error, and B has ended within 5 s, by its error or because
somebody ended it. The guard ends nobody: an endless kernel is expected to miss the mark until the node's
agent does so, and the result says so.
"""

import ctypes as c
import sys
import time

import bench as b
from e05_shares import flood

FAULTS = {"address": "mov.u64 %a, 16; st.global.u64 [%a], %a;",
          "trap": "trap;",
          "endless": "AGAIN: ld.volatile.global.u64 %n, [%a]; setp.ne.u64 %p, %n, 1; @%p bra AGAIN;"}


def fault(cuda, kind):
    memory = c.c_uint64()
    cuda("cuMemAlloc_v2", c.byref(memory), c.c_size_t(4096))
    cuda("cuMemsetD8_v2", memory, 0, c.c_size_t(4096))
    function = cuda.kernel("fault", f".visible .entry fault(.param .u64 at) {{ .reg .u64 %a, %n; .reg .pred %p;"
                                    f" ld.param.u64 %a, [at]; {FAULTS[kind]} ret; }}")
    parameters = (c.c_void_p * 1)(c.cast(c.byref(memory), c.c_void_p))
    begin, _ = b.moment()
    cuda("cuLaunchKernel", function, 1, 1, 1, 1, 1, 1, 0, None, parameters, None)
    b.answer({"code": cuda.code("cuCtxSynchronize"), "after": time.monotonic() - begin})


def measure(bench):
    if bench.facts()["stand_in"]:
        raise b.Skip("the stand-in runs no code, so nothing can go wrong in it")
    bench.set_rate()
    for kind in FAULTS:
        settings, end = bench.broker([(50, False), (50, False)])
        workers = [bench.start("flood", 1000, 1, settings=settings[0]), bench.start("fault", kind, settings=settings[1])]
        for worker in workers:
            worker.stdout.readline()
        begin = time.monotonic()
        for worker in workers:
            worker.stdin.write(f"{begin} {begin + 10}\n")
            worker.stdin.flush()
        try:
            workers[1].wait(timeout=8)
        except b.subprocess.TimeoutExpired:
            workers[1].kill()
            workers[1].wait()
        bench.figure(f"{kind}: B has ended after", time.monotonic() - begin, "s", most=5)
        said = workers[0].communicate(timeout=120)[0].splitlines()
        end()
        bench.figure(f"{kind}: A ended well, with work done", b.json.loads(said[-1])["done"]
                     if workers[0].returncode == 0 and said else 0, "kernels", least=1)


if __name__ == "__main__":
    sys.exit(b.main(9, "faults", __file__, measure, {"flood": flood, "fault": fault}))
