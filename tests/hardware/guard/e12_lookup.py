#!/usr/bin/env python3
"""12: cuGetProcAddress through the guard, for every name, version and flag.

Mark: it answers as the driver does, and every function that it gives out is the driver's own or the
guard's wrapper of exactly that one: where the driver's answer is its export F, the guard's is what the
guard's own export F leads to.
"""

import ctypes as c
import sys

import bench as b

VERSIONS = (2000, 3020, 4000, 6050, 8000, 10000, 10020, 11000, 11020, 11030, 11040, 12000, 12020, 12030, 12050,
            12080, 12090, 13000)


def target_of(entry):
    """Where an export of the guard jumps to: "endbr64; jmp *slot(%rip)"."""
    code = c.string_at(entry, 10)
    if code[4:6] != b"\xff\x25":
        return entry
    return c.c_uint64.from_address(entry + 10 + int.from_bytes(code[6:10], "little", signed=True)).value


def look_up(guard, driver, symbols, sabotage, every):
    driver = b.Cuda(driver, guard.gpu)
    with open(symbols, encoding="utf-8") as file:
        exports = file.read().split()
    expected = {}
    for name in exports:
        theirs, ours = driver.address(name), guard.address(name)
        if theirs and ours:
            expected.setdefault(theirs, set()).add(target_of(ours))

    def ask(library, name, version, flags):
        function, status = c.c_void_p(), c.c_int(-1)
        code = library.code("cuGetProcAddress_v2", name.encode(), c.byref(function), version,
                            c.c_uint64(flags), c.byref(status))
        return code, status.value, function.value
    compared = wrapped = 0
    wrong = []
    for name in sorted({name.split("_")[0] for name in exports}):
        for version in VERSIONS[::int(every)]:
            for flags in (0, 1, 2):
                theirs = ask(driver, name, version, flags)
                ours = ask(guard, name, version, 0 if sabotage == "True" else flags)
                fine = ours[:2] == theirs[:2] and (
                    ours[2] == theirs[2] and theirs[2] not in expected or ours[2] in expected.get(theirs[2], ()))
                compared += 1
                wrapped += ours[2] != theirs[2]
                if not fine:
                    wrong.append(f"{name} {version} {flags}")
    b.answer({"compared": compared, "wrapped": wrapped, "wrong": len(wrong), "examples": wrong[:5]})


def measure(bench):
    every = 6 if bench.options.brief else 1
    said = bench.ask("look_up", bench.real.path, b.ROOT / "src" / "guard" / "cuda_symbols.txt",
                     bench.options.sabotage, every, settings={**bench.limits(), "TESSERA_GUARD_COMPUTE": "50"})
    bench.figure("compared", said["compared"], "answers", least=20000 // every)
    bench.figure("of these with a wrapper of ours", said["wrapped"], "answers", least=1000 // every)
    bench.figure("wrong" + (": " + ", ".join(said["examples"]) if said["examples"] else ""), said["wrong"], "answers",
                 most=0)


if __name__ == "__main__":
    sys.exit(b.main(12, "lookup", __file__, measure, {"look_up": look_up}))
