#!/usr/bin/env python3
"""Runs all experiments with the guard, one after the other, and writes what they say into one file.

    run_all.py [--out FILE] [--only 3,4,12] [options of the experiments]

The file is meant for docs/hardware/, failures included. Exit status: 0 where nothing failed.
"""

import argparse
import datetime
import json
import pathlib
import platform
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
EXPERIMENTS = sorted(HERE.glob("e[0-9][0-9]_*.py"))
WORDS = {0: "passed", 1: "FAILED", 77: "skipped"}


def run(script, words):
    done = subprocess.run([sys.executable, str(script), *words], text=True, capture_output=True, timeout=7200,
                          check=False)
    try:
        result = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        result = {"experiment": script.stem, "passed": False, "error": last[0]}
    print(f"{WORDS.get(done.returncode, 'BROKEN'):8} {script.stem}", flush=True)
    for figure in result.get("figures", []):
        print(f"         {figure['name']}: {figure['value']} {figure['unit']}"
              + (f" ({figure['mark']}{'' if figure['passed'] else ': MISSED'})" if figure["mark"] else ""))
    for skipped in result.get("skipped", []):
        print(f"         skipped {skipped['part']}: {skipped['why']}")
    if "error" in result:
        print(f"         {result['error']}")
    return result, done.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, help="default: docs/hardware/guard-DATE.json")
    parser.add_argument("--only", help="numbers, with commas between them")
    options, words = parser.parse_known_args()
    now = datetime.datetime.now(datetime.timezone.utc)
    wanted = {int(each) for each in options.only.split(",")} if options.only else None
    results, failed = [], False
    for script in EXPERIMENTS:
        if wanted is None or int(script.stem[1:3]) in wanted:
            result, code = run(script, words)
            results.append(result)
            failed = failed or code not in (0, 77)
    out = options.out or HERE.parents[2] / "docs" / "hardware" / f"guard-{now:%Y-%m-%d-%H%M}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    machine = {key: next((each[key] for each in results if key in each), "unknown")
               for key in ("gpu", "driver", "cuda", "guard", "stand_in")}
    out.write_text(json.dumps({"at": now.isoformat(timespec="seconds"), "machine": machine | {
        "system": platform.platform(), "python": platform.python_version()}, "experiments": results}, indent=1) + "\n")
    print(f"written: {out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
