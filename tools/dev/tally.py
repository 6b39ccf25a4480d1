#!/usr/bin/env python3
"""usage: tally.py JUNIT_FILE GTEST_FOLDER -> prints "PASSED FAILED" in test cases, and says on
standard error what failed.

ctest knows test programs; googletest's own reports, where a program left one, know the cases in
them. A program that failed without a failed case (a crash, a time-out) counts as one failure.
"""

import sys
import xml.etree.ElementTree as xml
from pathlib import Path


def tell(program: str, case: xml.Element) -> None:
    for failure in case.findall("failure"):
        print(
            f"FAILED {program}: {case.get('classname')}.{case.get('name')}",
            failure.get("message", "").strip(),
            sep="\n",
            file=sys.stderr,
        )


def cases(program: str, report: Path) -> tuple[int, int]:
    """(passed, failed) of one googletest report; nothing when it was cut off."""
    try:
        root = xml.parse(report).getroot()
    except (OSError, xml.ParseError):
        return 0, 0
    failed = int(root.get("failures", 0)) + int(root.get("errors", 0))
    for case in root.iter("testcase"):
        tell(program, case)
    skipped = sum(1 for case in root.iter("testcase") if case.find("skipped") is not None)
    return int(root.get("tests", 0)) - failed - int(root.get("disabled", 0)) - skipped, failed


def main() -> None:
    junit, folder = Path(sys.argv[1]), Path(sys.argv[2])
    total_passed = total_failed = 0
    for program in xml.parse(junit).getroot().iter("testcase"):
        name, ok = program.get("name"), program.get("status") == "run"
        passed, failed = cases(name, folder / f"{name}.xml")
        if ok and passed + failed == 0:
            passed = 1
        if not ok and failed == 0:
            failed = 1
            print(f"FAILED {name}: it ended without saying which test", file=sys.stderr)
        total_passed += passed
        total_failed += failed
    print(total_passed, total_failed)


if __name__ == "__main__":
    main()
