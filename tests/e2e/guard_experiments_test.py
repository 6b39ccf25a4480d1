#!/usr/bin/env python3
"""The experiments for a real GPU (tests/hardware/guard) over the stand-in driver: each program works,
says what it should, and can fail.

    guard_experiments_test.py BINARY

What they measure of time means nothing here, so only those that count bytes and answers must pass.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BINARY = ""
FOLDER = pathlib.Path(__file__).resolve().parents[1] / "hardware" / "guard"
PARTS = {"name", "value", "unit", "mark", "passed"}
FACTS = {"experiment", "number", "passed", "figures", "skipped", "command", "gpu", "driver", "cuda", "guard",
         "stand_in"}
SKIPPED = 77


class Experiments(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tessera-")
        self.addCleanup(self.folder.cleanup)
        build = pathlib.Path(BINARY).parent
        state = os.path.join(self.folder.name, "machine")
        subprocess.run([build / "fakes" / "tessera-fake-gpus", "--state", state, "init", "--model",
                        "H100-80GB-SXM5", "--gpus", "1"], check=True, timeout=30, capture_output=True)
        self.words = ["--guard", build / "guard" / "libtessera-guard.so", "--driver", build / "fakes" / "libcuda.so.1",
                      "--nvml", build / "fakes" / "libnvidia-ml.so.1", "--quota", "1024", "--brief",
                      "--broker", build / "tests" / "hardware" / "guard_broker", "--seconds", "0.4", "--rounds", "1"]
        self.environment = {**os.environ, "TESSERA_FAKE_GPUS": state, "ASAN_OPTIONS": "detect_leaks=0",
                            "LD_PRELOAD": os.environ.get("TESSERA_TEST_PRELOAD", ""), "TMPDIR": self.folder.name}

    def run_one(self, name, *more):
        done = subprocess.run([sys.executable, str(FOLDER / name), *map(str, self.words), *more], text=True,
                              env=self.environment, capture_output=True, timeout=120, check=False)
        result = json.loads(done.stdout)
        self.assertNotIn("error", result, done.stderr)
        self.assertLessEqual(FACTS, set(result), name)
        self.assertTrue(result["stand_in"])
        for figure in result["figures"]:
            self.assertEqual(set(figure), PARTS)
        expected = {True: 0, False: 1, None: SKIPPED}[result["passed"]]
        self.assertEqual(done.returncode, expected, done.stderr)
        return result

    def test_those_that_count_pass_and_can_fail(self):
        for name in ("e03_families.py", "e04_race.py", "e12_lookup.py"):
            result = self.run_one(name)
            missed = [figure for figure in result["figures"] if not figure["passed"]]
            self.assertEqual((result["passed"], missed), (True, []), name)
            self.assertIs(self.run_one(name, "--sabotage")["passed"], False, name)

    def test_an_escape_is_seen(self):
        self.assertIs(self.run_one("e10_escapes.py")["passed"], True)

    def test_those_of_time_measure(self):
        for name, most in (("e01_overhead.py", 6), ("e06_idle_partner.py", 3), ("e07_latency.py", 5), ("e11_contexts.py", 2)):
            self.assertEqual(len(self.run_one(name)["figures"]), most, name)

    def test_wrong_weights_are_noticed(self):
        result = self.run_one("e05_shares.py", "--sabotage", "--seconds", "1.5")
        self.assertEqual((result["passed"], len(result["figures"])), (False, 3))

    def test_what_needs_more_is_skipped_and_says_why(self):
        for name in ("e08_timeslice.py", "e09_faults.py"):
            result = self.run_one(name)
            self.assertEqual((result["passed"], len(result["skipped"])), (None, 1))
        nowhere = self.run_one("e09_faults.py")
        self.assertIn("stand-in", nowhere["skipped"][0]["why"])

    def test_all_of_them_go_into_one_file(self):
        out = os.path.join(self.folder.name, "all.json")
        done = subprocess.run([sys.executable, str(FOLDER / "run_all.py"), "--out", out, "--only", "8,12",
                               *map(str, self.words)], env=self.environment, capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        written = json.loads(pathlib.Path(out).read_text(encoding="utf-8"))
        self.assertEqual([each["number"] for each in written["experiments"]], [8, 12])
        self.assertIn("H100", written["machine"]["gpu"])


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=1)
