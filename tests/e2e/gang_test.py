#!/usr/bin/env python3
"""Several whole GPUs, on one node and on several: gang_test.py BINARY."""

import json
import os
import sys
import tempfile
import unittest

import main_job_test
from main_job_test import ROOT, Server, eventually

ASK = ("request", "--team", "vision", "--for", "1h", "-o", "json")


class Gang(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.server = Server(folder.name, ROOT / "examples" / "gang.yaml")
        self.server.start()
        self.addCleanup(self.server.kill)

    def ask(self, *more):
        done = self.server.cli(*ASK, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def request(self, name):
        return self.server.call("GET", "/v1/requests/" + name)[1]

    def state_of(self, name):
        return self.request(name)["status"]["state"]

    def test_a_gang_is_granted_as_one_lease_and_ends_as_one(self):
        first = self.ask("--gpus", "8", "--nodes", "2", "--pool", "h100")["metadata"]["name"]
        self.assertTrue(eventually(lambda: self.state_of(first) == "active"))
        lease = self.server.items("leases")[0]["status"]
        self.assertEqual(lease["nodes"], ["board-1", "board-2"])
        self.assertEqual(len(lease["slices"]), 16)

        second = self.ask("--gpus", "4", "--nodes", "2", "--pool", "h100", "--no-wait")
        second = second["metadata"]["name"]
        self.assertEqual(self.state_of(second), "queued")
        self.assertEqual(self.server.cli("cancel", first).returncode, 0)
        self.assertTrue(eventually(lambda: self.state_of(second) == "active"))
        self.assertTrue(eventually(lambda: self.state_of(first) == "cancelled"))

    def test_gpus_are_linked_or_it_is_said_that_they_are_not(self):
        for pool, words in (("h100", "links all 4 GPUs"), ("h100-nvl", "does not link all 4 GPUs")):
            said = self.ask("--gpus", "4", "--pool", pool, "--dry-run")
            self.assertIn(words, json.dumps(said))
        never = self.server.cli(*ASK, "--gpus", "4", "--pool", "h100-nvl", "--nvlink", "required")
        self.assertEqual(never.returncode, 1)
        self.assertIn("NVLink", never.stderr)

    def test_a_gang_larger_than_any_pool_is_refused_at_once(self):
        never = self.server.cli(*ASK, "--gpus", "8", "--nodes", "3")
        self.assertEqual(never.returncode, 1)
        self.assertIn("ask for fewer nodes", never.stderr)


if __name__ == "__main__":
    main_job_test.BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
