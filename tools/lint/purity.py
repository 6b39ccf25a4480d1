#!/usr/bin/env python3
"""The core computes; it does not look at the world.

Clock, randomness, files, threads and logs reach a core room as a port or not at all, and no
decision may hang on the order of an unordered container. A line with a good reason carries
`// purity: REASON`.
"""

import re
from pathlib import Path
from typing import Iterator

from layering import CORE
from source import Finding, code_only, files_under, main, read

# Pattern -> why not. Those of the world hold in tests as well: a test that reads the clock
# or an unseeded generator is a test that fails on some other day.
OF_THE_WORLD = {
    r"\b(?:(?:system|steady|high_resolution)_clock|gettimeofday|clock_gettime)\b|\bstd::time\s*\(":
        "takes the time as an argument (base/time.h)",
    r"\brandom_device\b|\bs?rand\s*\(|\bmt19937": "takes randomness as base::Random",
    r"\bgetenv\b": "reads no environment",
}
OF_THE_CORE = {
    r"#\s*include\s*<(?:thread|mutex|shared_mutex|condition_variable|future|atomic)>":
        "knows no threads",
    r"#\s*include\s*<(?:iostream|fstream|filesystem)>": "does no input or output",
    r"#\s*include\s*<random>": "takes randomness as base::Random",
    r"#\s*include\s*<(?:spdlog|fmt|nlohmann|yaml-cpp|boost|openssl|SQLiteCpp)/":
        "depends on the standard library only",
    r"\bunordered_(?:multi)?(?:map|set)\b": "iterates in a defined order: use std::map or a vector",
    r"(?<![\w.>])f?printf\s*\(|\bstd::c(?:out|err|log)\b": "does not print",
}

# Run by the build on the developer's machine, before there is a core: they read data/ and write
# the tables that are compiled in.
BUILD_TOOLS = {
    "src/catalog/generate.cpp", "src/catalog/model_file.cpp", "src/catalog/model_file.h",
    "src/catalog/model_file_test.cpp",
}

_SOURCE = re.compile(r"^src/([^/]+)/.+\.(?:h|cpp)$")
_REASON = re.compile(r"//\s*purity:\s*\S")


def check(root: Path) -> Iterator[Finding]:
    for name in files_under(root):
        match = _SOURCE.match(name)
        if not match or match.group(1) not in CORE or name in BUILD_TOOLS:
            continue
        rules = dict(OF_THE_WORLD)
        if not name.endswith("_test.cpp"):
            rules |= OF_THE_CORE
        text = read(root, name)
        for number, (code, line) in enumerate(
                zip(code_only(text).splitlines(), text.splitlines()), 1):
            if _REASON.search(line):
                continue
            for pattern, rule in rules.items():
                if re.search(pattern, code):
                    yield Finding(name, number, f"a core room {rule}")


if __name__ == "__main__":
    main("purity", check)
