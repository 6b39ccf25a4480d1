#!/usr/bin/env python3
"""`tessera guard` around programs nobody here wrote, over the stand-in CUDA driver.

    guard_test.py BINARY

The guard and the stand-ins are looked for beside the binary, in guard/ and fakes/.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BINARY = ""

# What a program does that opens the driver by its name: python has no code of ours in it.
PROGRAM = """
import ctypes, os, subprocess, sys
MiB = 1 << 20
cuda = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libcuda.so.1")
context, pointer = ctypes.c_void_p(), ctypes.c_uint64()
free, total = ctypes.c_size_t(), ctypes.c_size_t()
def begin():
    for done in (cuda.cuInit(0), cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0),
                 cuda.cuCtxSetCurrent(context)):
        if done:
            sys.exit(f"CUDA says {done}")
def allocate(mib):
    return cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(mib * MiB))
def info():
    cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    return free.value // MiB, total.value // MiB
"""


class Guard(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tessera-")
        self.addCleanup(self.folder.cleanup)
        build = pathlib.Path(BINARY).parent
        self.driver = str(build / "fakes" / "libcuda.so.1")
        state = os.path.join(self.folder.name, "machine")
        subprocess.run([build / "fakes" / "tessera-fake-gpus", "--state", state, "init", "--model",
                        "H100-80GB-SXM5", "--gpus", "1"], check=True, timeout=30,
                       capture_output=True)
        self.environment = {**os.environ, "TESSERA_FAKE_GPUS": state, "ASAN_OPTIONS": "detect_leaks=0",
                            "LD_PRELOAD": os.environ.get("TESSERA_TEST_PRELOAD", ""),
                            "TMPDIR": self.folder.name}

    def words(self, *words):
        return [BINARY, "guard", "--driver", self.driver, *words]

    def guard(self, *words):
        return subprocess.run(self.words(*words), env=self.environment, capture_output=True,
                              text=True, timeout=60, check=False)

    def python(self, code, *limits):
        done = self.guard(*limits, "--", sys.executable, "-c", PROGRAM + code)
        return done.stdout.split(), done

    def test_a_program_has_its_part_and_no_more(self):
        said, done = self.python("begin(); print(*info(), allocate(600), allocate(600), *info())",
                                 "--memory", "1GiB")
        self.assertEqual(said, ["1024", "1024", "0", "2", "424", "1024"], done.stderr)

    def test_by_path_it_is_the_same(self):
        code = PROGRAM.replace('"libcuda.so.1"', repr(self.driver)) + "begin(); print(*info())"
        done = self.guard("--memory", "1GiB", "--", sys.executable, "-c", code)
        self.assertEqual(done.stdout.split(), ["1024", "1024"], done.stderr)

    def test_what_it_starts_shares_with_it(self):
        said, done = self.python(
            "begin(); print(allocate(600), flush=True)\n"
            "if not os.environ.get('SECOND'):\n"
            "    code = open('/proc/self/cmdline').read().split('\\0')[2]\n"
            "    subprocess.run([sys.executable, '-c', code], env={**os.environ, 'SECOND': '1'})",
            "--memory", "1GiB")
        self.assertEqual(said, ["0", "2"], done.stderr)

    def test_commands_that_name_one_account_share_it(self):
        account = os.path.join(self.folder.name, "account")
        first = subprocess.Popen(
            self.words("--memory", "1GiB", "--account", account, "--", sys.executable, "-c",
                       PROGRAM + "begin(); print(allocate(600), flush=True); sys.stdin.read()"),
            env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(first.stdout.close)
        self.assertEqual(first.stdout.readline(), "0\n")
        second = ("begin(); print(allocate(600))", "--memory", "1GiB", "--account", account)
        self.assertEqual(self.python(*second)[0], ["2"])
        first.stdin.close()
        first.wait(timeout=30)
        self.assertEqual(self.python(*second)[0], ["0"])

    def test_a_limit_of_nothing(self):
        said, done = self.python("begin(); print(*info(), allocate(1))", "--memory", "0MiB")
        self.assertEqual(said, ["0", "0", "2"], done.stderr)

    def test_it_ends_as_its_program_ended_and_leaves_nothing(self):
        self.assertEqual(self.guard("--compute", "50", "--", "sh", "-c", "exit 7").returncode, 7)
        killed = self.guard("--compute", "50", "--", "sh", "-c", "kill -TERM $$")
        self.assertEqual(killed.returncode, -signal.SIGTERM)
        self.assertEqual([each for each in os.listdir(self.folder.name)
                          if each.startswith("tessera-guard")], [])

    def test_a_signal_reaches_the_program(self):
        run = subprocess.Popen(self.words("--memory", "1GiB", "--", "sleep", "60"),
                               env=self.environment)
        time.sleep(0.5)
        run.terminate()
        self.assertEqual(run.wait(timeout=30), -signal.SIGTERM)

    def test_what_is_missing_is_said(self):
        for words, part in (
                (("--memory", "1GiB", "--driver", "/nowhere/libcuda.so.1", "--", "true"), "driver"),
                (("--memory", "1GiB", "--library", "/nowhere/guard.so", "--", "true"), "--library"),
                (("--memory", "lots", "--", "true"), "lots"),
                (("--compute", "101", "--", "true"), "101"),
                (("--", "true"), "--memory"),
                (("--memory", "1GiB"), "command")):
            done = subprocess.run([BINARY, "guard", *words], env=self.environment, text=True,
                                  capture_output=True, timeout=60, check=False)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertIn(part, done.stderr)

    def test_an_account_that_is_something_else_allows_nothing(self):
        account = os.path.join(self.folder.name, "account")
        pathlib.Path(account).write_text("x" * 1_000_000)
        _, done = self.python("begin()", "--memory", "1GiB", "--account", account)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("CUDA says 802", done.stderr)
        self.assertIn("tessera-guard: ", done.stderr)
        self.assertEqual(pathlib.Path(account).read_text(), "x" * 1_000_000)


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=1)
