#!/usr/bin/env python3
"""`tessera run` and `tessera doctor` on a pretended machine.

    run_test.py BINARY
"""

import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

import nvml_test
from nvml_test import OnTheMachine, eventually, fakes


def has_control_groups():
    """May this user make groups of version 2 beside its own?"""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            own = next((each[3:].rstrip("\n") for each in open("/proc/self/cgroup")
                        if each.startswith("0::")), "/")
            return os.access(line.split()[4] + own, os.W_OK)
    return False


class Run(OnTheMachine):
    def words(self, *words):
        return [nvml_test.BINARY, "--context", os.path.join(self.server.data, "context.yaml"),
                "run", *words]

    def run_words(self, *words):
        return subprocess.run(self.words(*words), capture_output=True, text=True, timeout=60,
                              check=False)

    def test_it_sees_its_own_device_and_no_other(self):
        lease, device = self.active()
        done = self.run_words("--lease", lease, "--", "sh", "-c",
                              'echo "$CUDA_VISIBLE_DEVICES $TESSERA_LEASE"')
        self.assertEqual((done.returncode, done.stdout), (0, f"{device} {lease}\n"), done.stderr)
        self.assertFalse(self.ended(lease), "it was not asked to give the lease back")

    def test_it_ends_as_its_program_ended(self):
        lease, _ = self.active()
        self.assertEqual(self.run_words("--lease", lease, "--", "sh", "-c", "exit 7").returncode, 7)
        killed = self.run_words("--lease", lease, "--", "sh", "-c", "kill -TERM $$")
        self.assertEqual(killed.returncode, -signal.SIGTERM)
        missing = self.run_words("--lease", lease, "--", "no-such-program")
        self.assertEqual(missing.returncode, 127)
        self.assertIn("no-such-program", missing.stderr)

    def test_signals_reach_the_program(self):
        lease, _ = self.active()
        code = ("import signal, sys, time\n"
                "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(42))\n"
                "print('ready', flush=True)\n"
                "time.sleep(30)\n")
        with subprocess.Popen(self.words("--lease", lease, "--", sys.executable, "-c", code),
                              stdout=subprocess.PIPE, text=True) as process:
            self.assertEqual(process.stdout.readline(), "ready\n")
            process.send_signal(signal.SIGUSR1)
            self.assertEqual(process.wait(timeout=20), 42)

    def test_one_step_asks_runs_and_gives_back(self):
        done = self.run_words("--team", "everyone", "--memory", "10GB", "--isolation", "partition",
                              "--for", "2h", "--", "printenv", "CUDA_VISIBLE_DEVICES")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(done.stdout.strip(), self.machine.instances())
        lease = self.server.leases()[0]["metadata"]["name"]
        self.assertTrue(eventually(lambda: self.ended(lease)))

    def test_it_gives_back_even_what_could_not_run(self):
        done = self.run_words("--team", "everyone", "--memory", "10GB", "--isolation", "partition",
                              "--for", "2h", "--", "no-such-program")
        self.assertEqual(done.returncode, 127)
        lease = self.server.leases()[0]["metadata"]["name"]
        self.assertTrue(eventually(lambda: self.ended(lease)))

    def test_a_request_that_is_not_granted_is_not_left_waiting(self):
        for _ in range(2):
            self.active("80GB")
        done = self.run_words("--team", "everyone", "--memory", "80GB", "--isolation", "partition",
                              "--for", "2h", "--wait", "1s", "--", "true")
        self.assertEqual(done.returncode, 1)
        self.assertIn("was cancelled", done.stderr)

    def test_a_lease_on_another_machine_is_refused(self):
        lease, _ = self.active()
        done = self.run_words("--lease", lease, "--node", "elsewhere", "--", "true")
        self.assertEqual(done.returncode, 1)
        self.assertIn("this machine is elsewhere", done.stderr)

    @unittest.skipUnless(has_control_groups(), "no control groups of version 2 to write to")
    def test_its_processes_are_known_as_the_leases_and_none_is_left(self):
        lease, _ = self.active()
        code = ("import subprocess\n"
                "print(open('/proc/self/cgroup').read())\n"
                "print('left', subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL,"
                " start_new_session=True).pid)\n")
        done = self.run_words("--lease", lease, "--", sys.executable, "-c", code)
        self.assertIn(f"/tessera-{lease}.scope/run-", done.stdout, done.stderr)
        left = int(done.stdout.split("left ")[1])
        self.assertTrue(eventually(lambda: not os.path.exists(f"/proc/{left}") or
                                   "Z (zombie)" in
                                   pathlib.Path(f"/proc/{left}/status").read_text()))


    @unittest.skipUnless(has_control_groups() and os.geteuid() == 0, "takes root")
    def test_other_gpus_are_fenced_off(self):
        lease, _ = self.active()
        node = self.server.leases()[0]["status"]["slices"][0]["gpu"]
        mine = int(node.rsplit("/", 1)[1])
        files = pathlib.Path(self.server.data) / "gpus"
        for gpu in self.machine.gpus():
            folder = files / f"0000:{gpu['gpu']:02x}:00.0"
            folder.mkdir(parents=True)
            (folder / "information").write_text(
                f"Model: \t\t NVIDIA H100\nGPU UUID: \t {gpu['uuid']}\n"
                f"Device Minor: \t {gpu['gpu']}\n")
        nodes = {}
        for minor in (mine, 1 - mine, 255):
            nodes[minor] = os.path.join(self.server.data, f"nvidia{minor}")
            os.mknod(nodes[minor], 0o666 | stat.S_IFCHR, os.makedev(195, minor))
        code = ("import errno, sys\n"
                "for name in sys.argv[1:]:\n"
                "    try:\n"
                "        open(name, 'rb')\n"
                "    except OSError as refused:\n"
                "        print(errno.errorcode[refused.errno])\n")
        done = self.run_words("--lease", lease, "--driver-files", str(files), "--",
                              sys.executable, "-c", code, nodes[mine], nodes[1 - mine], nodes[255])
        # There is no driver behind the files here: what is let through finds no device.
        self.assertEqual(done.stdout.split(), ["ENXIO", "EPERM", "ENXIO"], done.stderr)


class Doctor(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-doctor-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name) / "root"
        self.machine = nvml_test.Machine(folder.name, 0)
        self.put("proc/self/mountinfo",
                 "30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n")

    def put(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def examine(self):
        done = subprocess.run(
            [nvml_test.BINARY, "doctor", "--nvml", fakes() / "libnvidia-ml.so.1", "--root",
             self.root, "-o", "json"], capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "TESSERA_FAKE_GPUS": self.machine.state})
        answer = json.loads(done.stdout)
        return done.returncode, {each["check"]: each for each in answer["findings"]}

    def toolkit(self, version):
        self.put("var/lib/dpkg/status",
                 "Package: other\nStatus: install ok installed\nVersion: 9\n\n"
                 "Package: nvidia-container-toolkit\nStatus: install ok installed\n"
                 f"Version: {version}\n\n")

    def test_a_machine_in_order(self):
        code, found = self.examine()
        self.assertEqual(found["cgroups"]["verdict"], "ok")
        self.assertEqual(found["container toolkit"]["detail"], "not installed")
        self.assertEqual(found["GPU 0 ECC"]["verdict"], "ok")
        self.assertIn("GPU 1 persistence", found)
        self.assertEqual(found["other owners"]["verdict"], "ok")
        self.assertEqual(code, 0 if os.geteuid() == 0 else 1, found)

    def test_weak_container_toolkits_are_named_by_version(self):
        for version, weak in (("1.16.1-1", "CVE-2024-0132"), ("1.17.3-1", "CVE-2025-23359"),
                              ("1.17.7-1", "CVE-2025-23266")):
            self.toolkit(version)
            code, found = self.examine()
            self.assertIn(weak, found["container toolkit"]["detail"])
            self.assertEqual(code, 1)
        self.toolkit("1.17.8-1")
        self.assertEqual(self.examine()[1]["container toolkit"]["verdict"], "ok")

    def test_other_owners_of_the_gpus_are_named(self):
        self.put("proc/4711/comm", "nvidia-mig-mana\n")
        self.put("var/lib/kubelet/plugins/gpu.nvidia.com/dra.sock", "")
        code, found = self.examine()
        self.assertIn("is at work here", found["other owners"]["detail"])
        self.assertEqual(code, 1)

    def test_what_cannot_be_offered_is_another_exit_code(self):
        os.remove(self.machine.state)
        self.machine.tool("init", "--model", nvml_test.MODEL, "--gpus", 2, "--mig")
        self.machine.create_behind_its_back(0, 19)
        code, found = self.examine()
        self.assertEqual(code, 2)
        self.assertEqual(found["GPU 0 owner"]["verdict"], "failed")

    def test_hybrid_and_missing_control_groups_are_told(self):
        self.put("proc/self/mountinfo",
                 "30 1 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n")
        self.assertIn("beside version 1", self.examine()[1]["cgroups"]["detail"])
        self.put("proc/self/mountinfo", "30 1 0:26 / / rw - ext4 /dev/vda rw\n")
        self.assertEqual(self.examine()[1]["cgroups"]["verdict"], "warning")


if __name__ == "__main__":
    nvml_test.BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
