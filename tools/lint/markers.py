#!/usr/bin/env python3
"""Nothing unfinished and nothing of one person's machine is committed.

A line that must show such a word carries `markers: REASON` in a comment.
"""

import re
from pathlib import Path
from typing import Iterator

from source import Finding, files_under, main, read

RULES = {
    r"\b(?:TODO|FIXME|XXX|HACK)\b": "finish it, or open an issue",
    r"\bnot (?:yet )?implemented\b|\bunimplemented\b": "finish it, or leave it out",
    r"(?<![\w.~$}/-])/(?:home|Users|root|work|mnt|media)/\w": "a path of one machine",
    r"^(?:<{7}|>{7})(?: |$)": "an unresolved merge",
}
_NOT_OURS = re.compile(
    r"(?:package-lock\.json|\.(?:svg|png|woff2?|csv|ico)|^LICENSE)$|^tools/lint/(?:markers|lint_test)\.py$")
_REASON = re.compile(r"markers:\s*\S")


def check(root: Path) -> Iterator[Finding]:
    for name in files_under(root):
        if _NOT_OURS.search(name):
            continue
        for number, line in enumerate(read(root, name).splitlines(), 1):
            if _REASON.search(line):
                continue
            for pattern, rule in RULES.items():
                match = re.search(pattern, line)
                if match:
                    yield Finding(name, number, f'"{match.group().strip()}": {rule}')


if __name__ == "__main__":
    main("markers", check)
