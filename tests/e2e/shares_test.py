#!/usr/bin/env python3
"""Two leases on one time-sliced GPU, each held to its memory: control plane, agent, `tessera run` and
the guard, over stand-ins for NVML and the CUDA driver that share one pretended machine.

    shares_test.py BINARY
"""

import mmap
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import guard_test
import nvml_test
from nvml_test import OnTheMachine, eventually, fakes
from run_test import has_control_groups

HOLD = guard_test.PROGRAM + """
begin()
print(*info(), allocate(int(os.environ["MIB"])), allocate(int(os.environ["MIB"])), flush=True)
sys.stdin.read()
"""


COUNTED, CLOSED = 1, 4


class Account:
    """What a program of a lease shares with its agent (src/guard/region.h)."""

    GATE = 4 * 8 + 8
    ROWS, GPUS = 256, 16
    PROGRESS = 16 + GPUS * 8 + ROWS * (8 + 4) + GPUS * ROWS * 8
    WAITING = 2 * 8

    def __init__(self, path):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(path))
            welcome, files, _, _ = socket.recv_fds(connection, 12, 2)
        self.row = struct.unpack("<8sI", welcome)[1]
        self.limits = mmap.mmap(files[0], 0, prot=mmap.PROT_READ)
        self.accounts = mmap.mmap(files[1], 0)
        for file in files:
            os.close(file)

    def gate(self):
        return struct.unpack_from("<I", self.limits, self.GATE)[0]

    def want(self):
        """As a program that always has something to launch."""
        at = self.PROGRESS + self.row * self.GPUS * 5 * 8 + self.WAITING
        struct.pack_into("<Q", self.accounts, at, 1)


class Shares(OnTheMachine):
    def setUp(self):
        # The stand-in CUDA driver shows every GPU to everybody: there is one.
        folder = tempfile.TemporaryDirectory(prefix="tessera-shares-")
        self.addCleanup(folder.cleanup)
        self.machine = nvml_test.Machine(folder.name, self.LATENCY, gpus=1)
        self.server = nvml_test.Server(folder.name, self.machine)
        self.metrics = nvml_test.free_port()
        self.server.options = ["--metrics", f"127.0.0.1:{self.metrics}", "--use-every", "1s"]
        self.addCleanup(self.server.kill)
        self.server.start()

    def lease(self, memory, **more):
        asked = self.server.call("POST", "/v1/requests", {"spec": {
            "team": "everyone", "memory": memory, "isolation": "limited", "compute": 20,
            "duration": "8h", **more}})
        name = asked["metadata"]["name"]
        self.assertTrue(eventually(lambda: self.server.status(name)["state"] == "active"),
                        self.server.status(name))
        return self.server.status(name)["lease"]

    def start(self, lease, mib, *options, driver=None):
        """A program that tells its figures, and whether it got so much memory once and twice."""
        driver = driver or str(fakes() / "libcuda.so.1")
        run = subprocess.Popen(
            [nvml_test.BINARY, "--context", os.path.join(self.server.data, "context.yaml"), "run",
             "--shares", self.server.shares, "--driver", driver, *options,
             "--lease", lease, "--", sys.executable, "-c", HOLD],
            env={**os.environ, "TESSERA_FAKE_GPUS": self.machine.state, "MIB": str(mib),
                 "ASAN_OPTIONS": "detect_leaks=0",
                 "LD_PRELOAD": os.environ.get("TESSERA_TEST_PRELOAD", "")},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, run)
        return run

    def socket(self, lease):
        return next(pathlib.Path(self.server.shares).glob("*/" + lease))

    def account_at_next_agent(self, lease):
        """At the socket of the agent before nobody answers."""
        found = []

        def came():
            try:
                found.append(Account(self.socket(lease)))
            except (OSError, StopIteration):
                return False
            return True
        self.assertTrue(eventually(came))
        return found[0]

    @staticmethod
    def end(run):
        if run.poll() is None:
            run.stdin.close()
            run.wait(timeout=30)
        for file in (run.stdin, run.stdout, run.stderr):
            file.close()

    def said(self, run):
        line = run.stdout.readline()
        return [int(word) for word in line.split()] if line else run.stderr.read()

    def test_two_leases_on_one_gpu_are_each_held_to_their_memory(self):
        first, second = self.lease("10GiB"), self.lease("4GiB")
        gpus = {lease["status"]["slices"][0]["gpu"] for lease in self.server.leases()}
        self.assertEqual(len(gpus), 1, "they share one GPU")
        one = self.start(first, 6 * 1024)
        self.assertEqual(self.said(one), [10240, 10240, 0, 2])
        other = self.start(second, 3 * 1024)
        self.assertEqual(self.said(other), [4096, 4096, 0, 2])
        # A second program of a lease shares with the first.
        third = self.start(second, 1024)
        self.assertEqual(self.said(third), [1024, 4096, 0, 2])
        self.end(other)
        again = self.start(second, 1536)
        self.assertEqual(self.said(again), [3072, 4096, 0, 0])

    def test_what_a_killed_program_had_is_free_again(self):
        lease = self.lease("4GiB")
        run = self.start(lease, 3 * 1024)
        self.assertEqual(self.said(run)[2:], [0, 2])
        run.send_signal(signal.SIGTERM)
        run.wait(timeout=30)
        self.assertEqual(self.said(self.start(lease, 3 * 1024)), [4096, 4096, 0, 2])

    # It ran unguarded, with a warning meant for machines that have no driver at all.
    def test_a_driver_that_was_named_and_is_not_there_is_refused(self):
        run = self.start(self.lease("4GiB"), 1024, driver="/nowhere/libcuda.so.1")
        self.assertIn("/nowhere/libcuda.so.1", self.said(run))
        self.assertNotEqual(run.wait(timeout=30), 0)

    def test_what_it_has_of_the_gpu_is_told_of_each_lease(self):
        one, other = self.lease("4GiB"), self.lease("2GiB")
        self.assertEqual(self.said(self.start(one, 1024)), [4096, 4096, 0, 0])

        def told():
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics",
                                        timeout=5) as answer:
                text = answer.read().decode()
            return {(name, lease): float(value) for name, lease, value in re.findall(
                r'^tessera_share_(\w+)\{.*lease="([^"]+)".*\} (.+)$', text, re.MULTILINE)}
        figures = told()
        self.assertEqual(figures["memory_limit_bytes", one], 4 << 30)
        self.assertEqual(figures["memory_charged_bytes", one], 2 << 30)
        self.assertEqual(figures["programs", one], 1)
        self.assertEqual(figures["memory_limit_bytes", other], 2 << 30)
        self.assertEqual(figures["programs", other], 0)

        def counted(lease):
            use = self.server.call("GET", "/v1/leases/" + lease)["status"].get("use") or {}
            return use.get("memoryMibSeconds", 0)
        self.assertTrue(eventually(lambda: counted(one) >= 2048, 30))
        self.assertEqual(counted(other), 0)

    # The broker knew the class, and nobody could ask for it.
    def test_a_tier_can_be_latency_critical(self):
        spec = {**self.server.call("GET", "/v1/tiers/development")["spec"],
                "latencyCritical": True, "pricePerHour": "2.00"}
        self.server.call("PUT", "/v1/tiers/realtime", {
            "kind": "Tier", "metadata": {"name": "realtime"}, "spec": spec})
        self.assertIs(self.server.call("GET", "/v1/tiers/realtime")["spec"]["latencyCritical"], True)
        for pool in self.server.call("GET", "/v1/pools")["items"]:
            name, spec = pool["metadata"]["name"], pool["spec"]
            self.server.call("PUT", "/v1/pools/" + name, {
                "kind": "Pool", "metadata": {"name": name},
                "spec": {**spec, "tiers": [*spec["tiers"], "realtime"]}})
        batch, realtime = self.lease("4GiB", tier="development"), self.lease("4GiB", tier="realtime")
        waits, goes = Account(self.socket(batch)), Account(self.socket(realtime))
        for account in (waits, goes):
            account.want()
        self.assertTrue(eventually(lambda: waits.gate() == CLOSED))
        self.assertEqual(goes.gate(), COUNTED)
        # And so it is after a restart, from the journal.
        self.server.kill()
        self.server.start()
        waits, goes = (self.account_at_next_agent(lease) for lease in (batch, realtime))
        for account in (waits, goes):
            account.want()
        self.assertTrue(eventually(lambda: waits.gate() == CLOSED))
        self.assertEqual(goes.gate(), COUNTED)

    @unittest.skipUnless(has_control_groups(), "no control groups of version 2 to write to")
    def test_what_outlives_its_agent_is_taken_off_the_rest(self):
        lease = self.lease("4GiB")
        path = self.socket(lease)
        outlives = self.start(lease, 1024)
        self.assertEqual(self.said(outlives), [4096, 4096, 0, 0])
        self.server.kill()
        self.server.start()

        def has_less():
            run = self.start(lease, 1)
            said = self.said(run)
            self.end(run)
            if isinstance(said, str):  # nobody answers at the socket of the agent before
                return False
            # It, and the context that the driver made for it.
            return 1024 < said[1] <= 4096 - 2 * 1024
        self.assertTrue(eventually(lambda: path.is_socket() and has_less()))
        self.end(outlives)
        self.assertTrue(eventually(lambda: self.said(self.start(lease, 1))[1] == 4096))

    def test_a_lease_that_nobody_holds_to_its_share_is_not_run_on(self):
        lease = self.lease("4GiB")
        run = self.start(lease, 1, "--node", "elsewhere")
        self.assertIn("this machine is elsewhere", self.said(run))
        self.socket(lease).unlink()
        refused = self.start(lease, 1)
        self.assertIn("keep within their shares", self.said(refused))

    # Whoever could write to the folder could put a socket of his own there, and give any limit.
    def test_a_folder_that_others_can_write_to_is_not_believed(self):
        lease = self.lease("4GiB")
        folder = self.socket(lease).parent
        for each in (folder, folder.parent):
            before = each.stat().st_mode
            each.chmod(0o777)
            run = self.start(lease, 1)
            self.assertIn("others may write to it", self.said(run))
            self.assertNotEqual(run.wait(timeout=30), 0)
            each.chmod(before & 0o7777)
        self.assertEqual(self.said(self.start(lease, 1)), [4096, 4096, 0, 0])

    def test_a_lease_that_ends_is_held_no_more(self):
        lease = self.lease("4GiB")
        path = self.socket(lease)
        self.server.release(lease)
        self.assertTrue(eventually(lambda: self.ended(lease)))
        self.assertTrue(eventually(lambda: not path.exists()))


if __name__ == "__main__":
    nvml_test.BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=1)
