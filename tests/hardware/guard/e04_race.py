#!/usr/bin/env python3
"""4: eight programs of one tenant race for memory and are killed at random moments.

Mark: what they hold together, by the GPU's own figure and less their contexts, is never above the quota
by more than 2 %, and within one second of the last death another program of the tenant can have all
of it.
"""

import ctypes as c
import random
import sys
import time

import bench as b

PROGRAMS = 8


def race(cuda, seed):
    print("ready", flush=True)
    sys.stdin.readline()
    chance, held = random.Random(seed), []
    while True:
        piece = c.c_uint64()
        name, more = chance.choice((("cuMemAlloc_v2", ()), ("cuMemAllocAsync", (None,))))
        code = cuda.code(name, c.byref(piece), c.c_size_t(chance.randint(1, 640) * b.MIB), *more)
        if code == 0:
            held.append(piece)
        elif code != b.OUT_OF_MEMORY:
            sys.exit(f"{name} answers {code}")
        while held and (code or chance.random() < 0.3):
            cuda("cuMemFree_v2", held.pop())


def heir(cuda, quota):
    """Whoever comes after: asks for all of it until it gets it."""
    print("ready", flush=True)
    for line in sys.stdin:
        begin = float(line)
        piece = c.c_uint64()
        while cuda.code("cuMemAlloc_v2", c.byref(piece), c.c_size_t(int(quota))) and time.monotonic() < begin + 10:
            time.sleep(0.001)
        after = time.monotonic() - begin
        if piece.value:
            cuda("cuMemFree_v2", piece)
        b.answer({"after": after})


def measure(bench):
    limits = bench.limits()
    watcher = bench.start("heir", bench.quota(), settings=limits)
    if watcher.stdout.readline() != "ready\n":
        raise RuntimeError("a worker does not start")
    highest, slowest, context = 0, 0.0, None
    for number in range(bench.options.rounds):
        before = bench.physical()
        programs = []
        for i in range(PROGRAMS):
            programs.append(bench.start("race", number * PROGRAMS + i, settings=limits))
        for program in programs:
            if program.stdout.readline() != "ready\n":
                raise RuntimeError("a worker does not start")
        # All have a context, and nothing else yet.
        context = (bench.physical() - before) / PROGRAMS
        for program in programs:
            program.stdin.write("go\n")
            program.stdin.flush()
        chance = random.Random(number)
        alive = list(programs)
        while alive:
            until = time.monotonic() + chance.random() * 0.1
            while time.monotonic() < until:
                used = bench.physical()
                if used == bench.physical():  # else memory may have been counted as it changed hands
                    highest = max(highest, used - before - len(alive) * context)
            if alive[-1].poll() is not None:
                raise RuntimeError("a program ended by itself")
            alive[-1].kill()
            alive.pop().wait()
        watcher.stdin.write(f"{time.monotonic()}\n")
        watcher.stdin.flush()
        slowest = max(slowest, b.json.loads(watcher.stdout.readline())["after"])
    watcher.kill()
    bench.figure("most held at once", highest / bench.quota() * 100, "% of the quota", most=102, least=25)
    bench.figure("all of it to be had after the last death", slowest, "s", most=1)
    bench.figure("rounds", bench.options.rounds, "of 8 programs killed")
    bench.figure("one context", context / b.MIB, "MiB")


if __name__ == "__main__":
    sys.exit(b.main(4, "race", __file__, measure, {"race": race, "heir": heir}))
