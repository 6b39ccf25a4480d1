#!/usr/bin/env python3
"""Tessera on this machine's GPUs, from the outside, over the stand-in NVML library: what the
control plane grants is what another NVML client finds, whatever breaks or is killed in between.

    nvml_test.py BINARY [ROUNDS]

The stand-in is looked for beside the binary, in fakes/. ROUNDS kills are tried, 20 unless told.
"""

import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

BINARY = ""
ROUNDS = 20
MODEL = "H100-80GB-SXM5"
ENDED = ("ended", "failed")


def fakes():
    return pathlib.Path(BINARY).parent / "fakes"


class Machine:
    """A pretended machine in a state file, and what happens to it."""

    def __init__(self, folder, latency, gpus=2):
        self.state = os.path.join(folder, "machine")
        self.tool("init", "--model", MODEL, "--gpus", gpus, "--latency", latency)

    def tool(self, *words):
        done = subprocess.run([fakes() / "tessera-fake-gpus", "--state", self.state,
                               *map(str, words)], capture_output=True, text=True, timeout=30,
                              check=True)
        return done.stdout.strip()

    def gpus(self):
        return json.loads(self.tool("show", "-o", "json"))["gpus"]

    def instances(self):
        """Device UUID -> (GPU, profile, start, id) of every instance; None as UUID without one."""
        found = {}
        for gpu in self.gpus():
            for each in gpu["instances"]:
                device = each["devices"][0]["uuid"] if each["devices"] else None
                found[device] = (gpu["gpu"], each["profile"], each["start"], each["id"])
        return found

    def run_on(self, device, *words):
        gpu, _, _, instance = self.instances()[device]
        return int(self.tool("process", "start", "--gpu", gpu, "--gi", instance, *words))

    def create_behind_its_back(self, gpu, profile):
        """As another program would, in a process of its own: a GPU instance and its device.

        TESSERA_TEST_PRELOAD: what a program must load first where the stand-in is sanitized.
        """
        code = f"""
import ctypes
nvml = ctypes.CDLL({str(fakes() / 'libnvidia-ml.so.1')!r})
device, instance, compute = (ctypes.c_void_p() for _ in range(3))
for done in (nvml.nvmlInit_v2(), nvml.nvmlDeviceGetHandleByIndex_v2({gpu}, ctypes.byref(device)),
             nvml.nvmlDeviceCreateGpuInstance(device, {profile}, ctypes.byref(instance)),
             nvml.nvmlGpuInstanceCreateComputeInstance(instance, 0, ctypes.byref(compute))):
    assert done == 0, done
"""
        subprocess.run([sys.executable, "-c", code], check=True, timeout=30,
                       env={**os.environ, "TESSERA_FAKE_GPUS": self.state,
                            "LD_PRELOAD": os.environ.get("TESSERA_TEST_PRELOAD", ""),
                            "ASAN_OPTIONS": "detect_leaks=0"})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`tessera up --nvml` over one data folder; may be killed and started again."""

    def __init__(self, folder, machine):
        self.data = os.path.join(folder, "data")
        self.shares = os.path.join(folder, "shares")
        self.machine = machine
        self.process = None
        self.options = []
        self.port = free_port()

    def start(self):
        environment = {**os.environ, "TESSERA_FAKE_GPUS": self.machine.state,
                       "TESSERA_NVML": str(fakes() / "libnvidia-ml.so.1"),
                       "TESSERA_SHARES": self.shares}
        self.process = subprocess.Popen(
            [BINARY, "up", "--data", self.data, "--listen", f"127.0.0.1:{self.port}",
             *self.options],
            stdout=subprocess.DEVNULL, env=environment)
        if not eventually(self.ready, 30):
            raise TimeoutError("the server did not become ready")
        text = (pathlib.Path(self.data) / "context.yaml").read_text()
        self.token = re.search(r'token: "?([^"\n]+)', text).group(1)

    def ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the server ended with {self.process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait(timeout=10)

    def call(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        request.add_header("Authorization", "Bearer " + self.token)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refusal:
            return json.loads(refusal.read())

    def gpus(self):
        return self.call("GET", "/v1/gpus")["items"]

    def request(self, memory="10GB"):
        return self.call("POST", "/v1/requests", {"spec": {
            "team": "everyone", "memory": memory, "isolation": "partition", "duration": "8h"}})

    def status(self, name):
        return self.call("GET", "/v1/requests/" + name)["status"]

    def cancel(self, request):
        return self.call("POST", f"/v1/requests/{request}/cancel", {})

    def leases(self):
        return self.call("GET", "/v1/leases")["items"]

    def release(self, lease):
        return self.call("POST", f"/v1/leases/{lease}/release", {})


def eventually(condition, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


class OnTheMachine(unittest.TestCase):
    LATENCY = 0  # milliseconds that a change of the machine takes

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-nvml-")
        self.addCleanup(folder.cleanup)
        self.machine = Machine(folder.name, self.LATENCY)
        self.server = Server(folder.name, self.machine)
        self.addCleanup(self.server.kill)
        self.server.start()

    def active(self, memory="10GB"):
        """Lease and device of a request that became active."""
        name = self.server.request(memory)["metadata"]["name"]
        self.assertTrue(eventually(lambda: self.server.status(name)["state"] == "active"),
                        self.server.status(name))
        status = self.server.status(name)
        return status["lease"], status["slices"][0]["device"]

    def ended(self, lease):
        return self.server.call("GET", f"/v1/leases/{lease}")["status"]["state"] in ENDED


class MainJob(OnTheMachine):
    def test_the_machines_own_gpus_are_offered(self):
        self.assertTrue(eventually(lambda: all(gpu["status"]["uuid"] for gpu in
                                               self.server.gpus())))
        self.assertEqual(sorted(gpu["status"]["uuid"] for gpu in self.server.gpus()),
                         sorted(gpu["uuid"] for gpu in self.machine.gpus()))

    def test_a_request_makes_an_instance_and_a_release_frees_it(self):
        lease, device = self.active("10GB")
        self.assertEqual(self.machine.instances()[device][1], "1g.10gb")
        larger, second = self.active("10GiB")
        self.assertEqual(self.machine.instances()[second][1], "1g.20gb")
        self.server.release(lease)
        self.assertTrue(eventually(lambda: self.ended(lease)))
        # It stays for the next one to take, and is that one's at once.
        self.assertEqual(self.active("10GB")[1], device)
        self.assertFalse(self.ended(larger))

    def test_a_process_in_a_released_slice_keeps_it_from_the_next(self):
        lease, device = self.active()
        pid = self.machine.run_on(device, "--memory", "2GiB")
        self.server.release(lease)
        time.sleep(3)
        self.assertFalse(self.ended(lease), "the process still holds the slice")
        self.assertIn(device, self.machine.instances())
        self.assertNotEqual(self.active()[1], device, "nobody else gets it")
        self.machine.tool("process", "stop", pid)
        self.assertTrue(eventually(lambda: self.ended(lease)))


class Trouble(OnTheMachine):
    def quarantined(self, words):
        return lambda: any(gpu["status"]["health"] == "quarantined" and words in
                           json.dumps(gpu["status"]) for gpu in self.server.gpus())

    def test_an_instance_of_somebody_else_is_told_and_left_alone(self):
        lease, device = self.active()
        gpu = self.machine.instances()[device][0]
        self.machine.create_behind_its_back(gpu, 19)
        theirs = (set(self.machine.instances()) - {device}).pop()
        self.assertTrue(eventually(self.quarantined("was not made by this agent")))
        _, other = self.active("40GB")
        self.assertNotEqual(self.machine.instances()[other][0], gpu, "nothing new on that GPU")
        self.assertFalse(self.ended(lease), "what was granted is kept")
        time.sleep(2)
        self.assertIn(theirs, self.machine.instances())
        self.assertIn(device, self.machine.instances())

    def test_a_create_that_fails_for_a_moment_is_tried_again(self):
        self.machine.tool("fault", "create", "--gpu", 0, "--value", 2)
        self.machine.tool("fault", "create-compute", "--gpu", 1, "--value", 2)
        self.active()
        self.assertNotIn(None, self.machine.instances(), "nothing half made is left")

    def test_a_gpu_that_cannot_create_is_passed_over(self):
        self.machine.tool("fault", "create", "--gpu", 0, "--value", 1000)
        devices = [self.active("40GB")[1] for _ in range(2)]
        self.assertEqual({self.machine.instances()[each][0] for each in devices}, {1})

    def test_a_lost_gpu_takes_only_its_own_leases_along(self):
        _, device = self.active("80GB")
        other, second = self.active("40GB")
        gpu, spare = self.machine.instances()[device][0], self.machine.instances()[second][0]
        self.assertNotEqual(gpu, spare)
        self.machine.tool("fault", "lost", "--gpu", gpu)
        self.assertTrue(eventually(self.quarantined("fallen off the bus")))
        self.assertTrue(eventually(lambda: any(
            lease["status"].get("endReason") == "DeviceFailed"
            for lease in self.server.leases())))
        self.assertFalse(self.ended(other))
        self.assertIn(second, self.machine.instances())


class Killed(OnTheMachine):
    """kill -9 of server and agent, one process here, at random moments. Changes take as long as on
    real GPUs, or nearly, so that many are cut in two."""

    LATENCY = 60

    def ask_and_release(self, stopping, seed, mine):
        """Sizes that do not fit beside one another, so that layouts keep changing."""
        chance = random.Random(seed)
        while not stopping.is_set():
            try:
                if mine and chance.random() < 0.6:
                    self.server.release(mine.pop(chance.randrange(len(mine))))
                else:
                    made = self.server.request(chance.choice(["10GB", "20GB", "40GB", "80GB"]))
                    if made["status"]["lease"]:
                        mine.append(made["status"]["lease"])
                    else:
                        self.server.cancel(made["metadata"]["name"])
            except (OSError, KeyError, ValueError):
                return  # the server was killed
            time.sleep(chance.random() * 0.1)

    def round(self, number, busy):
        stopping = threading.Event()
        left = [lease["metadata"]["name"] for lease in self.server.leases()
                if lease["status"]["state"] not in ENDED and lease["metadata"]["name"] != busy]
        workers = [threading.Thread(target=self.ask_and_release,
                                    args=(stopping, 100 * number + i, left[i::3]))
                   for i in range(3)]
        for worker in workers:
            worker.start()
        time.sleep(random.Random(number).uniform(0.05, 1.2))
        self.server.kill()
        stopping.set()
        for worker in workers:
            worker.join()

    def settled(self):
        """Every slice has its instance, every instance its slice, nothing is half made; and what is
        in use is the device that its lease was told."""
        instances = {where[:3]: device for device, where in self.machine.instances().items()}
        slices = [(gpu["spec"]["number"], part) for gpu in self.server.gpus()
                  for part in gpu["status"]["slices"]]
        places = {(gpu, part["profile"], part["start"]) for gpu, part in slices}
        in_use = [((gpu, part["profile"], part["start"]), part["device"]) for gpu, part in slices
                  if part["phase"] == "in-use"]
        return (None not in instances.values() and set(instances) == places
                and all(part["phase"] in ("idle", "in-use") for _, part in slices)
                and all(instances[place] == device for place, device in in_use))

    def test_no_orphan_and_no_busy_instance_destroyed(self):
        lease, busy = self.active("10GB")
        pid = self.machine.run_on(busy, "--memory", "1GiB")
        for number in range(ROUNDS):
            self.round(number, lease)
            self.assertIn(busy, self.machine.instances(), f"round {number}")
            self.server.start()
        self.assertTrue(eventually(self.settled, 60),
                        (self.machine.instances(), self.server.gpus()))
        self.assertFalse(any(gpu["status"]["health"] == "quarantined"
                             for gpu in self.server.gpus()), "none of them is a stranger's")
        self.machine.tool("process", "stop", pid)


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        ROUNDS = int(sys.argv.pop(1))
    unittest.main(verbosity=2)
