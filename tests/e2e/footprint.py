#!/usr/bin/env python3
"""What an agent costs the machine that it serves: 8 GPUs of 7 instances each, all of them leased,
sampled every second.

    footprint.py BINARY [SECONDS]

The bounds are those of a release build: 1 % of a core, 40 MiB resident, without processes and with
one on every instance. They count the stand-in library too, which runs inside the agent.
"""

import os
import pathlib
import sys
import time
import unittest

import measure_test
import nvml_test
from nvml_test import eventually

SECONDS = 30
MOST_PERCENT, MOST_MIB = 1.0, 40


class EightGpus(measure_test.Measured):
    GPUS = 8

    def test_sampling_costs_next_to_nothing(self):
        for _ in range(56):
            self.plane.request("9000MiB")
        self.assertTrue(eventually(self.all_active, 120), self.plane.leases())
        idle, taken, mebibytes = self.measure("no processes")
        for device in list(self.machine.instances()):
            self.machine.run_on(device, "--memory", "1GiB", "--load", "60")
        busy, measured, most = self.measure("a process on each")
        self.assertGreater(min(taken, measured), 56 * SECONDS * 0.8)
        self.assertLess(max(idle, busy), MOST_PERCENT)
        self.assertLess(max(mebibytes, most), MOST_MIB)

    def measure(self, what):
        """Per cent of a core, samples taken, and MiB resident."""
        time.sleep(5)
        before, start, samples = self.cpu_seconds(), time.monotonic(), self.samples()
        time.sleep(SECONDS)
        percent = (self.cpu_seconds() - before) / (time.monotonic() - start) * 100
        taken, mebibytes = self.samples() - samples, self.resident()
        print(f"agent, 8 GPUs of 7 instances at 1 Hz, {what}: {percent:.2f} % of a core, "
              f"{mebibytes:.1f} MiB resident, {taken / SECONDS:.0f} samples a second")
        return percent, taken, mebibytes

    def all_active(self):
        leases = self.plane.leases()
        return len(leases) == 56 and all(each["status"]["state"] == "active" for each in leases)

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.agent.process.pid}/stat").read_text().rsplit(")", 1)[1]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        status = pathlib.Path(f"/proc/{self.agent.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def samples(self):
        found = measure_test.values(self.agent.metrics(), "tessera_agent_samples_total")
        return found[0][1] if found else 0


if __name__ == "__main__":
    nvml_test.BINARY = os.path.abspath(sys.argv.pop(1))
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        SECONDS = int(sys.argv.pop(1))
    unittest.main(verbosity=2)
