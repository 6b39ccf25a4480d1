#!/usr/bin/env python3
"""Our declarations of NVIDIA's binary interfaces beside NVIDIA's own headers.

    headers_peer.py [FOLDER…]      folders below which cuda.h and nvml.h are looked for;
                                   this Python's packages where none is named

Compares sizes, places of fields, values and parameters of all that the guard and the agent declare for
themselves, by compiling cuda_headers.cpp and nvml_headers.cpp beside each header found. The calls
are read from the guard's sources, so that none is left out. Exit status 77: no header was found.
"""

import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUARD = ROOT / "src" / "guard"
# Where the symbol is chosen as the program runs: what it may be.
CHOSEN = {
    "calls.record": ["cuEventRecord", "cuEventRecord_ptsz"],
    "calls.is_capturing": ["cuStreamIsCapturing", "cuStreamIsCapturing_ptsz"],
    "call.is_capturing": ["cuStreamIsCapturing", "cuStreamIsCapturing_ptsz"],
    "call_.free": ["cuMemFreeAsync", "cuMemFreeAsync_ptsz"],
    "kFree": [],  # a template's: compared as the wrapper of the same call
    "kSymbol": [],  # next(), which has the type of its wrapper
}


def calls_of_guard():
    """(symbol, type) of every call that is wrapped or made; and what could not be read."""
    calls, unread = [], []
    table = (GUARD / "hook_table.cpp").read_text()
    for symbol, wrapper in re.findall(r"^    hook\(S::(\w+), &(.+)\),$", table, re.M):
        calls.append((symbol, f"std::remove_pointer_t<decltype(&{wrapper})>"))
    for path in sorted([*GUARD.glob("*.cpp"), *GUARD.glob("*.h")]):
        text = path.read_text()
        names = dict(re.findall(r"using (\w+) = (cuda::Result\([^;]*\));", text))
        for kind, chosen in re.findall(r"\breal<((?:[^<>()]|\([^()]*\))+)>\(\s*([^()]+?)\s*\)", text):
            kind = names.get(kind, kind)
            symbols = CHOSEN.get(chosen)
            if symbols is None and chosen.startswith("Symbol::"):
                symbols = [chosen.removeprefix("Symbol::")]
            if symbols is None or (symbols and not kind.startswith("cuda::Result(")):
                unread.append(f"{path.name}: real<{kind}>({chosen})")
            calls.extend((symbol, kind) for symbol in symbols or [])
    return sorted(set(calls)), unread


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)


def compare(source, include, folder, *more):
    done = run("g++", "-std=c++23", "-fsyntax-only", "-Wno-deprecated-declarations", f"-I{ROOT / 'src'}",
               f"-I{folder}", "-isystem", str(include), *more, str(ROOT / "tests" / "peers" / source))
    found = re.findall(r"error: (.*)", done.stderr)
    return found if done.returncode else []


def declared_by(include):
    done = run("g++", "-E", "-P", "-x", "c++", "-D__CUDA_API_VERSION_INTERNAL", str(include / "cuda.h"))
    return set(re.findall(r"\bCUresult (cu\w+)\s*\(", done.stdout))


def version_of(header, name):
    found = re.search(rf"#define {name}\s+(\d+)", header.read_text(errors="replace"))
    return found.group(1) if found else "?"


def check_cuda(header, folder, calls, missing):
    """What differs. `missing` keeps the calls that no header has declared yet."""
    declared = declared_by(header.parent)
    known = [(symbol, kind) for symbol, kind in calls if symbol in declared]
    missing.difference_update(symbol for symbol, _ in known)
    (folder / "guard_calls.inc").write_text("".join(f"SAME_CALL({s}, {k})\n" for s, k in known))
    exports = set((GUARD / "cuda_symbols.txt").read_text().split())
    newer = sorted(declared - exports)
    print(f"cuda.h {version_of(header, 'CUDA_VERSION')}: {len(known)} of {len(calls)} calls are declared "
          f"there; {len(newer)} of its {len(declared)} functions are not among our exports")
    return compare("cuda_headers.cpp", header.parent, folder)


def check_nvml(header, folder):
    print(f"nvml.h {version_of(header, 'NVML_API_VERSION')}")
    return compare("nvml_headers.cpp", header.parent, folder)


def main():
    places = sys.argv[1:] or [sysconfig.get_paths()["purelib"]]
    headers = {name: sorted({path.resolve() for place in places for path in pathlib.Path(place).rglob(name)})
               for name in ("cuda.h", "nvml.h")}
    if not any(headers.values()):
        print(f"skipped: neither cuda.h nor nvml.h below {' '.join(places)}")
        return 77
    calls, findings = calls_of_guard()
    missing = {symbol for symbol, _ in calls}
    with tempfile.TemporaryDirectory(prefix="tessera-headers-") as name:
        folder = pathlib.Path(name)
        (folder / "guard").mkdir()
        symbols = (GUARD / "cuda_symbols.txt").read_text().split()
        (folder / "guard" / "symbols.inc").write_text("".join(f"SYMBOL({each})\n" for each in symbols))
        for header in headers["cuda.h"]:
            findings += [f"{header}: {each}" for each in check_cuda(header, folder, calls, missing)]
        for header in headers["nvml.h"]:
            findings += [f"{header}: {each}" for each in check_nvml(header, folder)]
    if headers["cuda.h"]:
        print("in no header:", " ".join(sorted(missing)) or "none")
    for finding in findings:
        print("differs:", finding)
    print(f"{len(calls)} calls, {len(findings)} differences")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
