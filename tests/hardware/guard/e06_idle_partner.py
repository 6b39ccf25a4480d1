#!/usr/bin/env python3
"""6: a partner that does nothing costs nothing, and has its part soon when it comes.

Mark: beside an idle tenant of the same weight at least 97 % of the work done alone without the guard;
and one that comes while the other floods has its first kernel of 1 ms done within 50 ms.
"""

import statistics
import sys
import time

import bench as b
from e05_shares import flood


def idle(cuda):
    launch = cuda.spin(100)
    launch()
    cuda("cuCtxSynchronize")
    _, end = b.moment()
    time.sleep(max(0, end - time.monotonic()))
    b.answer({})


def come_and_go(cuda):
    launch, event = cuda.spin(1000), cuda.event()
    _, end = b.moment()
    spans = []
    while not spans or time.monotonic() < end - 0.5:
        time.sleep(0.4)
        begin = time.monotonic()
        launch()
        cuda("cuEventRecord", event, None)
        cuda.wait(event)
        spans.append(time.monotonic() - begin)
    b.answer({"spans": spans})


def measure(bench):
    alone, beside = [], []
    for _ in range(3):
        alone += bench.together(("flood", None, 1000, 1), seconds=bench.options.seconds / 3)
        settings, end = bench.broker([(50, False), (50, False)])
        beside += bench.together(("flood", settings[0], 1000, 1), ("idle", settings[1]),
                                 seconds=bench.options.seconds / 3)[:1]
        end()
    work = [statistics.median(each["done"] for each in said) for said in (alone, beside)]
    bench.figure("beside an idle partner", work[1] / max(1, work[0]) * 100, "% of alone", least=97)
    # Set up wrongly, who comes weighs nothing beside the other, which is critical.
    settings, end = bench.broker([(50, bench.options.sabotage), (50, False)])
    spans = sorted(bench.together(("flood", settings[0], 1000, 1), ("come_and_go", settings[1]))[1]["spans"])
    end()
    bench.figure("until a newcomer's kernel of 1 ms is done, median", statistics.median(spans) * 1000, "ms", most=50)
    bench.figure("the same, the longest", spans[-1] * 1000, "ms")


if __name__ == "__main__":
    sys.exit(b.main(6, "idle partner", __file__, measure,
                    {"flood": flood, "idle": idle, "come_and_go": come_and_go}))
