#!/usr/bin/env python3
"""A file holds one idea, and one idea fits into 500 lines.

A file that must be longer says why, in a comment `length: REASON` among its first 30 lines.
Functions are measured by clang-tidy (readability-function-size).
"""

import re
from pathlib import Path
from typing import Iterator

from source import Finding, files_under, main, read

LIMIT = 500
_WRITTEN_BY_HAND = re.compile(r"(?:\.(?:h|cpp|c|ts|tsx|mjs|css|py|sh|cmake)|CMakeLists\.txt|^dev)$")
_REASON = re.compile(r"(?://|#|/?\*)\s*length:\s*\S")


def check(root: Path) -> Iterator[Finding]:
    for name in files_under(root):
        if not _WRITTEN_BY_HAND.search(name):
            continue
        lines = read(root, name).splitlines()
        if len(lines) > LIMIT and not any(_REASON.search(line) for line in lines[:30]):
            yield Finding(name, len(lines), f"{len(lines)} lines, at most {LIMIT}: split by idea")


if __name__ == "__main__":
    main("length", check)
