#!/usr/bin/env python3
"""11: a tenant with two contexts beside one with one.

Mark: with equal weights, the tenant with two contexts does at most 55 % of the work. What it has without the
guard, where time may be divided by context, is told beside it.
"""

import ctypes as c
import sys
import threading

import bench as b
from e05_shares import flood, share_of_first


def two(cuda, us):
    """Floods from two contexts, a thread for each."""
    def create():
        context = c.c_void_p()
        name = "cuCtxCreate_v2"
        cuda(name, c.byref(context), 0, cuda.gpu)
        return cuda.spin(int(us))
    ready, done, times = threading.Barrier(3), [0, 0], []

    def run(number):
        cuda("cuCtxSetCurrent", cuda.context)
        launch = create() if number else cuda.spin(int(us))
        ready.wait()
        ready.wait()
        done[number] = cuda.flood(launch, times[1])
    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    ready.wait()
    times.extend(b.moment())
    ready.wait()
    for thread in threads:
        thread.join()
    b.answer({"done": sum(done)})


def measure(bench):
    plain = bench.together(("two", None, 1000), ("flood", None, 1000, 1))
    bench.figure("without the guard: the tenant with two contexts has", share_of_first(plain), "%")
    settings, end = bench.broker([(90 if bench.options.sabotage else 50, False), (50, False)])
    said = bench.together(("two", settings[0], 1000), ("flood", settings[1], 1000, 1))
    end()
    bench.figure("the tenant with two contexts has", share_of_first(said), "%", most=55, least=45)


if __name__ == "__main__":
    sys.exit(b.main(11, "contexts", __file__, measure, {"flood": flood, "two": two}))
