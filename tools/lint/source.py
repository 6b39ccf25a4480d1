"""What every check shares: which files there are, what of a line is code, how to report."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Iterable, NamedTuple


class Finding(NamedTuple):
    """One broken rule. Line 0 stands for the whole file."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def files_under(root: Path) -> list[str]:
    """Every file git tracks or would track, relative to the root, sorted."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True).stdout
    return sorted({name for name in listed.split("\0") if name and (root / name).is_file()})


def read(root: Path, name: str) -> str:
    return (root / name).read_text(encoding="utf-8", errors="replace")


# Number first, so that the ' of 1'000 opens no character literal.
_TOKEN = re.compile(
    r"""(?P<number>\b\d[\w.']*)
      | (?P<raw>\bR"(?P<fence>[^()\s\\]{0,16})\(.*?\)(?P=fence)")
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<character>'(?:\\.|[^'\\\n])+')
      | (?P<comment>//[^\n]*|/\*.*?\*/)""",
    re.DOTALL | re.VERBOSE)


def code_only(text: str) -> str:
    """C++ text with comments and the insides of literals blanked; line numbers stay."""

    def blank(match: re.Match) -> str:
        if match.lastgroup == "number":
            return match.group()
        return re.sub(r"[^\n]", " ", match.group())

    return _TOKEN.sub(blank, text)


def main(name: str, check) -> None:
    """Runs `check(root) -> findings` on the repository in argv[1] (default: here), and exits."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    sys.exit(report(name, check(root)))


def report(name: str, findings: Iterable[Finding]) -> int:
    found = list(findings)
    for finding in found:
        print(finding)
    print(f"{name}: {len(found)} finding(s)" if found else f"{name}: ok")
    return 1 if found else 0
