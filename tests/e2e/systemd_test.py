#!/usr/bin/env python3
"""The units of deploy/systemd, as systemd reads them: nothing misspelt, nothing missing, and no more
exposed than they were written to be. Where there is no systemd-analyze, as in most containers, nothing
is tried.

    systemd_test.py BINARY
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BINARY = ""
UNITS = pathlib.Path(__file__).parents[2] / "deploy" / "systemd"
# Of ten, in tenths. The agent has to be root with CAP_SYS_ADMIN and to see the machine's processes.
MOST_EXPOSED = {"tessera.service": 15, "tessera-agent.service": 32}


@unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd-analyze here")
class SystemdTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for unit in UNITS.glob("*.service"):
            # What is installed there is not what is tested.
            text = unit.read_text().replace("/usr/bin/tessera", BINARY)
            (self.folder / unit.name).write_text(text)

    def analyze(self, *words):
        return subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True,
                              timeout=60)

    def test_every_unit_is_verified(self):
        self.assertEqual({unit.name for unit in UNITS.glob("*.service")}, set(MOST_EXPOSED))
        for name in MOST_EXPOSED:
            # What systemd does not know it only warns of.
            done = self.analyze("verify", "--man=no", "--recursive-errors=no", self.folder / name)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)

    def test_a_misspelt_line_is_found(self):
        broken = self.folder / "tessera.service"
        broken.write_text(broken.read_text().replace("ProtectHome=", "ProtectHouse="))
        done = self.analyze("verify", "--man=no", "--recursive-errors=no", broken)
        self.assertIn("ProtectHouse", done.stderr)

    def test_no_unit_is_more_exposed_than_it_has_to_be(self):
        for name, most in MOST_EXPOSED.items():
            done = self.analyze("security", "--offline=true", f"--threshold={most}",
                                self.folder / name)
            level = re.search(r"Overall exposure level.*?: ([0-9.]+)", done.stdout)
            self.assertEqual(done.returncode, 0, f"{name}: {level and level.group(1)}")

    def test_the_commands_are_ones_that_the_program_knows(self):
        for name in MOST_EXPOSED:
            text = (UNITS / name).read_text().replace("\\\n", " ")
            words = re.search(r"^ExecStart=/usr/bin/tessera (.*)$", text, re.M).group(1).split()
            command = next(word for word in words if word in ("serve", "agent"))
            known = subprocess.run([BINARY, command, "--help"], capture_output=True, text=True,
                                   timeout=30).stdout
            for option in words[words.index(command):]:
                if option.startswith("--"):
                    self.assertIn(option, known, name)


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
