#!/usr/bin/env python3
"""Runs clang-tidy on the sources that changed since it last found them clean.

usage: tidy.py BUILD_FOLDER CACHE_FOLDER [ROOM…]    (all rooms when none is named)

"Changed" is the content of the source, of the headers of ours it includes, of .clang-tidy, or its
compile command. A source that was found clean leaves an empty file in the cache, named by the digest
of all of them: like a compiler cache it may be shared by any number of checkouts.
"""

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CLANG_TIDY = "clang-tidy-19"
KEPT_DAYS = 30
# For the compiler, and of no meaning to clang-tidy: its warnings are g++'s business.
EXTRA = ["--extra-arg=-w", "--quiet"]
_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def that_shape_the_code(command: str) -> list[str]:
    """Of g++'s command line the words that clang-tidy needs; warnings, output and dependency files
    mean nothing to it."""
    keep, words = [], iter(shlex.split(command)[1:])
    for word in words:
        if word == "-isystem":
            keep += [word, next(words)]
        elif word.startswith(("-D", "-I", "-std=")):
            keep.append(word)
    return keep


def sources(build: Path, rooms: list[str]) -> dict[Path, list[str]]:
    """Source -> compiler's arguments, for our own sources that are no tests."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = Path(entry["file"])
        if path.name.endswith("_test.cpp") or path.suffix != ".cpp":
            continue
        if not path.is_relative_to(Path.cwd() / "src"):
            continue
        if not rooms or path.relative_to(Path.cwd() / "src").parts[0] in rooms:
            found[path] = that_shape_the_code(entry["command"])
    return found


def with_headers(path: Path) -> list[Path]:
    """The source and every header of ours that it reaches, sorted."""
    src = Path.cwd() / "src"
    seen, todo = set(), [path]
    while todo:
        current = todo.pop()
        if current in seen or not current.is_file():
            continue
        seen.add(current)
        todo += [src / name for name in _INCLUDE.findall(current.read_text(errors="replace"))]
    return sorted(seen)


def digest(path: Path, arguments: list[str], config: bytes) -> str:
    words = "\0".join(arguments).replace(str(Path.cwd()), ".")
    total = hashlib.sha256(config + words.encode())
    for file in with_headers(path):
        total.update(file.read_bytes())
    return total.hexdigest()


def run(path: Path, arguments: list[str]) -> tuple[bool, str]:
    done = subprocess.run(
        [CLANG_TIDY, *EXTRA, str(path), "--", *arguments], capture_output=True, text=True)
    return done.returncode == 0, done.stdout if done.stdout.strip() else done.stderr


def forget_the_old(cache: Path) -> None:
    limit = time.time() - KEPT_DAYS * 86_400
    for stamp in cache.iterdir():
        if stamp.stat().st_mtime < limit:
            stamp.unlink(missing_ok=True)


def main() -> int:
    build, cache = Path(sys.argv[1]), Path(sys.argv[2])
    cache.mkdir(parents=True, exist_ok=True)
    forget_the_old(cache)
    config = Path(".clang-tidy").read_bytes()
    due = []
    for path, arguments in sorted(sources(build, sys.argv[3:]).items()):
        stamp = cache / digest(path, arguments, config)
        if stamp.exists():
            stamp.touch()
        else:
            due.append((path, arguments, stamp))
    failed = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        outcomes = pool.map(lambda item: run(item[0], item[1]), due)
        for (_, _, stamp), (clean, output) in zip(due, outcomes):
            if clean:
                stamp.touch()
            else:
                failed += 1
                print(output)
    print(f"clang-tidy: {len(due)} checked, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
