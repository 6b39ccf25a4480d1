#!/usr/bin/env python3
"""5: two tenants that both want the whole GPU have it in proportion to their weights.

Mark: with weights 50/50, 30/70 and 10/90, over kernels of 0.1, 1 and 20 ms and over graphs, each
tenant's part of the work done is within 5 points of its weight. The same without the guard is told beside it.
"""

import ctypes as c
import sys

import bench as b

WEIGHTS = ((50, 50), (30, 70), (10, 90))
KINDS = (("0.1 ms", 100, 1), ("1 ms", 1000, 1), ("20 ms", 20000, 1), ("graphs of 10 x 0.1 ms", 100, 10))


def flood(cuda, us, in_graph):
    launch, stream = cuda.spin(int(us)), cuda.stream()
    if int(in_graph) > 1:
        graph, executable = c.c_void_p(), c.c_void_p()
        cuda("cuStreamBeginCapture_v2", stream, 2)
        for _ in range(int(in_graph)):
            launch(stream)
        cuda("cuStreamEndCapture", stream, c.byref(graph))
        cuda("cuGraphInstantiateWithFlags", c.byref(executable), graph, c.c_ulonglong(0))

        def run(to):
            cuda("cuGraphLaunch", executable, to)
    else:
        run = launch
    _, end = b.moment()
    b.answer({"done": cuda.flood(run, end, stream)})


def share_of_first(said):
    total = sum(each["done"] for each in said)
    return said[0]["done"] / total * 100 if total else 0.0


def measure(bench):
    kinds, pairs = (KINDS[1:2], WEIGHTS[1:2]) if bench.options.brief else (KINDS, WEIGHTS)
    for name, us, in_graph in kinds:
        plain = bench.together(("flood", None, us, in_graph), ("flood", None, us, in_graph))
        bench.figure(f"{name}, without the guard: the first has", share_of_first(plain), "%")
        for first, second in pairs:
            weights = (second, first) if bench.options.sabotage else (first, second)
            settings, end = bench.broker([(weight, False) for weight in weights])
            said = bench.together(("flood", settings[0], us, in_graph), ("flood", settings[1], us, in_graph))
            end()
            share = share_of_first(said)
            bench.figure(f"{name}, {first}/{second}: the first has", share, "%")
            bench.figure(f"{name}, {first}/{second}: off by", abs(share - first), "points", most=5)


if __name__ == "__main__":
    sys.exit(b.main(5, "shares", __file__, measure, {"flood": flood}))
