#!/usr/bin/env python3
"""What leases use, from the (pretended) hardware to the API, to Prometheus and back after all sorts
of deaths.

    measure_test.py BINARY

Needs Debian's prometheus: a real server scrapes the agent. Where it is not installed that part is
skipped, and says so.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

import nvml_test
from nvml_test import Machine, Server, eventually, fakes

LOAD = 0.6


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def values(text, name):
    """Labels (as a dict) and value of every sample of a metric."""
    found = []
    for labels, value in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", text, re.M):
        found.append((dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)), float(value)))
    return found


class Plane(Server):
    """A control plane alone; agents dial in."""

    GPUS = 2

    def start(self):
        fleet = pathlib.Path(self.data).with_suffix(".yaml")
        fleet.write_text(f"""
kind: Pool
metadata: {{name: h100}}
spec: {{model: H100-80GB-SXM5, tiers: [production], technologies: [mig, whole]}}
---
kind: Node
metadata: {{name: node-1}}
spec: {{pool: h100, gpus: {self.GPUS}}}
---
kind: Team
metadata: {{name: everyone}}
spec: {{}}
""")
        self.process = subprocess.Popen(
            [nvml_test.BINARY, "serve", "--data", self.data, "--fleet", fleet,
             "--listen", f"127.0.0.1:{self.port}"], stdout=subprocess.DEVNULL)
        if not eventually(self.ready, 30):
            raise TimeoutError("the control plane did not become ready")
        text = (pathlib.Path(self.data) / "context.yaml").read_text()
        self.token = re.search(r'token: "?([^"\n]+)', text).group(1)


class Agent:
    def __init__(self, folder, plane, machine):
        self.folder, self.machine = folder, machine
        self.port = free_port()
        self.process = None
        secret = plane.call("POST", "/v1/tokens", {"name": "node-1", "role": "agent",
                                                   "subject": "node-1"})["status"]["secret"]
        self.context = os.path.join(folder, "agent.yaml")
        pathlib.Path(self.context).write_text(
            f"server: http://127.0.0.1:{plane.port}\ntoken: {secret}\n")

    def start(self):
        self.process = subprocess.Popen(
            [nvml_test.BINARY, "--context", self.context, "agent", "--node", "node-1",
             "--nvml", fakes() / "libnvidia-ml.so.1", "--data", os.path.join(self.folder, "agent"),
             "--metrics", f"127.0.0.1:{self.port}", "--use-every", "2s"],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "TESSERA_FAKE_GPUS": self.machine.state})

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
        if self.process:
            self.process.wait(timeout=30)

    def metrics(self):
        try:
            return fetch(f"http://127.0.0.1:{self.port}/metrics")
        except OSError:
            return ""

    def busy(self, lease):
        found = [value for labels, value in
                 values(self.metrics(), "tessera_lease_busy_seconds_total")
                 if labels["lease"] == lease]
        return found[0] if found else 0.0


class Measured(unittest.TestCase):
    GPUS = 2

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-measure-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.machine = Machine(folder.name, 0, self.GPUS)
        self.plane = Plane(folder.name, self.machine)
        self.plane.GPUS = self.GPUS
        self.addCleanup(self.plane.kill)
        self.plane.start()
        self.agent = Agent(folder.name, self.plane, self.machine)
        self.addCleanup(self.agent.stop, signal.SIGKILL)
        self.agent.start()

    def active(self, memory="10GB"):
        name = self.plane.request(memory)["metadata"]["name"]
        self.assertTrue(eventually(lambda: self.plane.status(name)["state"] == "active", 60),
                        self.plane.status(name))
        status = self.plane.status(name)
        return status["lease"], status["slices"][0]["device"]

    def used(self, lease):
        return self.plane.call("GET", f"/v1/leases/{lease}")["status"]["use"]


class Use(Measured):
    def test_the_control_plane_knows_what_a_lease_uses(self):
        lease, device = self.active()
        idle, _ = self.active()
        self.machine.run_on(device, "--memory", "4GiB", "--load", "60")
        time.sleep(10)
        self.assertTrue(eventually(lambda: self.used(lease)["measuredSeconds"] > 8, 30))
        use, other = self.used(lease), self.used(idle)
        self.assertGreater(use["busyRatio"], 0.4)
        self.assertLess(use["busyRatio"], 0.65)
        self.assertGreater(use["memoryMibSeconds"], 4096 * 5)
        self.assertGreater(use["energyJoules"], 0)
        self.assertEqual(other["busySeconds"], 0)
        wide = subprocess.run([nvml_test.BINARY, "--context",
                               os.path.join(self.plane.data, "context.yaml"),
                               "get", "leases", "-o", "wide"],
                              capture_output=True, text=True, timeout=30, check=True).stdout
        self.assertRegex(wide, rf"{lease} .*\d+%")

    def test_every_second_counts_once_whoever_dies(self):
        lease, device = self.active()
        pid = self.machine.run_on(device, "--memory", "1GiB", "--load", "60")
        self.assertTrue(eventually(lambda: self.used(lease)["busySeconds"] > 1, 30))
        self.plane.kill()
        time.sleep(5)
        self.agent.stop()  # what it could not tell must outlive it
        before = self.machine_time()
        self.agent.start()
        self.assertTrue(eventually(lambda: self.agent.busy(lease) >= before - 0.001, 20))
        self.plane.start()
        self.machine.tool("process", "stop", pid)
        # Both go on to the same sum, to the sample.
        self.assertTrue(eventually(
            lambda: self.agent.busy(lease) > 0 and
            abs(self.used(lease)["busySeconds"] - self.agent.busy(lease)) < 1e-6, 40),
            (self.used(lease), self.agent.busy(lease)))

    def machine_time(self):
        """What the agent that was just stopped had counted, as its book has it."""
        book = (pathlib.Path(self.folder) / "agent" / "use").read_text()
        return int(re.search(r"^total \d+ (\d+)", book, re.M).group(1)) / 1e6


@unittest.skipUnless(shutil.which("promtool"), "Debian's prometheus is not installed")
class ForPrometheus(Measured):
    def test_promtool_finds_nothing_wrong(self):
        lease, device = self.active()
        self.machine.run_on(device, "--memory", "4GiB", "--load", "60")
        self.assertTrue(eventually(lambda: self.agent.busy(lease) > 0, 30))
        checked = subprocess.run(["promtool", "check", "metrics"], input=self.agent.metrics(),
                                 capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_a_prometheus_server_scrapes_counters_that_survive_the_agent(self):
        lease, device = self.active()
        self.machine.run_on(device, "--memory", "4GiB", "--load", "60")
        server = self.prometheus()
        query = f'tessera_lease_busy_seconds_total{{lease="{lease}"}}'
        self.assertTrue(eventually(lambda: self.ask(server, query) > 1, 60))
        self.agent.stop(signal.SIGKILL)
        self.agent.start()
        seen = self.ask(server, query)
        self.assertTrue(eventually(lambda: self.ask(server, query) > seen + 8, 60))
        self.assertLessEqual(self.ask(server, f"resets({query}[5m])"), 1,
                             "at most the seconds since the last save are lost by a kill -9")
        ratio = self.ask(server, 'DCGM_FI_PROF_GR_ENGINE_ACTIVE{GPU_I_PROFILE="1g.10gb"}')
        self.assertAlmostEqual(ratio, LOAD, delta=0.1)

    def prometheus(self):
        port = free_port()
        config = os.path.join(self.folder, "prometheus.yml")
        pathlib.Path(config).write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: tessera
    static_configs: [{{targets: ["127.0.0.1:{self.agent.port}"]}}]
""")
        process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
             f"--storage.tsdb.path={self.folder}/tsdb", "--log.level=error"])
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.kill)
        return f"http://127.0.0.1:{port}"

    @staticmethod
    def ask(server, query):
        try:
            answer = json.loads(fetch(f"{server}/api/v1/query?query={urllib.parse.quote(query)}"))
        except OSError:
            return -1.0
        result = answer["data"]["result"]
        return float(result[0]["value"][1]) if result else -1.0


class ForDashboards(unittest.TestCase):
    def test_the_dashboard_asks_for_what_there_is(self):
        root = pathlib.Path(__file__).resolve().parents[2]
        board = json.loads((root / "deploy/grafana/tessera-node.json").read_text())
        source = (root / "src/agent/exposition.cpp").read_text()
        for panel in board["panels"]:
            for target in panel["targets"]:
                for name in re.findall(r"\b(?:tessera|DCGM)_\w+", target["expr"]):
                    self.assertIn(f'"{name}"', source, panel["title"])


if __name__ == "__main__":
    nvml_test.BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
