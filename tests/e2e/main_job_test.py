#!/usr/bin/env python3
"""The main job, as a person and as a hostile client would try it: main_job_test.py BINARY."""

import json
import os
import pathlib
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
ROOT = pathlib.Path(__file__).resolve().parents[2]
FLEET = ROOT / "examples" / "three-tier.yaml"


class Server:
    """`tessera up` on a free port over one data folder; may be killed and started again."""

    def __init__(self, data, fleet=FLEET):
        self.data = data
        self.fleet = fleet
        self.process = None
        self.port = 0

    def start(self):
        if self.port == 0:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        started = time.monotonic()
        self.process = subprocess.Popen(
            [BINARY, "up", "--fleet", self.fleet, "--data", self.data,
             "--listen", f"127.0.0.1:{self.port}"],
            stdout=subprocess.DEVNULL)
        while time.monotonic() < started + 15:
            try:
                with urllib.request.urlopen(self.url("/readyz"), timeout=1) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                time.sleep(0.02)
        else:
            raise TimeoutError("the server did not become ready")
        text = (pathlib.Path(self.data) / "context.yaml").read_text()
        self.token = re.search(r'token: "?([^"\n]+)', text).group(1)
        return time.monotonic() - started

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait(timeout=10)

    def call(self, method, path, body=None, headers=None, timeout=10):
        """Status and decoded body; a refusal is an answer like any other."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.url(path), data=data, method=method)
        request.add_header("Authorization", "Bearer " + self.token)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, decoded(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, decoded(refusal)

    def cli(self, *arguments):
        return run(*arguments, context=f"{self.data}/context.yaml")

    def items(self, kind):
        return json.loads(self.cli("get", kind, "-o", "json").stdout)["items"]


def decoded(answer):
    text = answer.read()
    return json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text


def run(*arguments, context=None, stdin=None):
    environment = {key: value for key, value in os.environ.items() if key != "TESSERA_CONTEXT"}
    if context:
        environment["TESSERA_CONTEXT"] = context
    return subprocess.run([BINARY, *arguments], env=environment, input=stdin, text=True,
                          capture_output=True, timeout=60, check=False)


def eventually(condition, seconds=15):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


class Capacity(unittest.TestCase):
    def test_eight_h100s_are_sixteen_slots(self):
        done = run("capacity", "-f", ROOT / "examples" / "eight-h100.yaml", "-o", "json")
        tiers = {tier["name"]: tier for tier in json.loads(done.stdout)["tiers"]}
        self.assertEqual(tiers["production"]["potential"]["slots"], 16)
        self.assertEqual(tiers["production"]["potential"]["mix"], {"4g.40gb": 8, "3g.40gb": 8})
        self.assertEqual(tiers["development"]["potential"]["slots"], 32)
        table = run("capacity", "-f", ROOT / "examples" / "eight-h100.yaml").stdout
        self.assertIn("16 = 8 x 4g.40gb + 8 x 3g.40gb", table)


class WithServer(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tessera-e2e-")
        self.addCleanup(folder.cleanup)
        self.server = Server(folder.name)
        self.start_seconds = self.server.start()
        self.addCleanup(self.server.kill)

    def ask(self, *more):
        return self.server.cli("request", "--team", "vision", "--isolation", "partition", "--for",
                               "8h", "-o", "json", *more)


class MainJob(WithServer):
    def test_ready_within_two_seconds(self):
        self.assertLess(self.start_seconds, 2 if not os.environ.get("CI") else 5)

    def test_units_decide_the_slice(self):
        before = self.server.items("requests")
        rehearsed = json.loads(self.ask("--memory", "10GB", "--dry-run").stdout)
        self.assertEqual(self.server.items("requests"), before)
        started = time.monotonic()
        real = json.loads(self.ask("--memory", "10GB").stdout)
        self.assertLess(time.monotonic() - started, 5)
        for answer in (rehearsed, real):
            self.assertEqual(answer["status"]["state"], "active")
            self.assertEqual(answer["status"]["tier"], "production")
            self.assertEqual(answer["status"]["slices"][0]["profile"], "1g.10gb")
        larger = json.loads(self.ask("--memory", "10GiB").stdout)
        self.assertEqual(larger["status"]["slices"][0]["profile"], "1g.20gb")
        self.assertTrue(any("10 GB" in hint for hint in larger["status"]["hints"]))

    def test_what_can_never_be_met_is_refused_and_not_queued(self):
        done = self.ask("--memory", "500GB")
        self.assertEqual(done.returncode, 1)
        self.assertIn("NeverFits", done.stderr)
        self.assertEqual(self.server.items("requests"), [])

    def test_a_released_slice_comes_back_clean(self):
        lease = json.loads(self.ask("--memory", "10GB").stdout)["status"]["lease"]
        self.assertEqual(self.server.cli("release", lease).returncode, 0)
        self.assertTrue(eventually(lambda: self.server.items("leases")[0]["status"]["state"] ==
                                   "ended"))
        gpu = self.server.call("GET", "/v1/gpus/h100-node-1/0")[1]
        self.assertEqual([part["phase"] for part in gpu["status"]["slices"]], ["idle"])

    def test_diff_tells_by_its_exit_code(self):
        self.assertEqual(self.server.cli("diff", "-f", FLEET).returncode, 0)
        changed = FLEET.read_text().replace('pricePerHour: "2.80"', 'pricePerHour: "2.90"')
        done = run("diff", "-f", "-", context=f"{self.server.data}/context.yaml", stdin=changed)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("2.90", done.stdout)
        done = run("diff", "-f", "-", context=f"{self.server.data}/context.yaml", stdin="kind: [")
        self.assertEqual(done.returncode, 2)

    def test_waiting_requests_get_what_frees(self):
        held = []
        while True:
            done = json.loads(self.server.cli(
                "request", "--team", "platform", "--memory", "40GB", "--isolation", "partition",
                "--tier", "production", "--no-wait", "-o", "json").stdout)
            if done["status"]["state"] == "queued":
                break
            held.append(done["status"]["lease"])
            self.assertLess(len(held), 40)
        waiting = done["metadata"]["name"]
        why = json.loads(self.server.cli("explain", waiting, "-o", "json").stdout)
        self.assertFalse(why["fitsNow"])
        self.assertTrue(why["blockers"])
        self.server.cli("release", held[0])
        self.assertTrue(eventually(lambda: self.server.call(
            "GET", "/v1/requests/" + waiting)[1]["status"]["state"] == "active"))


class ForPeople(WithServer):
    """What a person reads when no format is asked for."""

    def tell(self, *arguments, code=0):
        done = self.server.cli(*arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout

    def test_a_request_says_what_it_got_and_explain_where_it_is(self):
        need = ("--team", "vision", "--memory", "10GB", "--isolation", "partition", "--for", "8h")
        got = r"active: 1g\.10gb on h100-node-1/\d, tier production, 0\.375 per hour, until .* \(8h\)"
        # Nodes report within the first moments of the server.
        self.assertTrue(eventually(lambda: re.match(
            "would be " + got, self.tell("request", *need, "--dry-run"))))
        self.assertRegex(self.tell("request", *need), "^req-1 is " + got)
        self.assertRegex(self.tell("explain", "req-1"), "^req-1 is active: 1g")
        self.assertRegex(self.tell("get", "requests"), r"req-1 +vision +10GB partition")
        self.assertRegex(self.tell("describe", "request", "req-1"), r"Memory +10GB")
        self.assertRegex(self.tell("get", "gpus", "--node", "h100-node-1"), r"mig +[.=]*#[.=]*/? +vision")

    def test_a_request_stands_for_its_lease(self):
        self.tell("request", "--team", "vision", "--memory", "10GB")
        self.assertIn("lease-1", self.tell("release", "req-1"))

    def test_a_token_for_somebody_else_implies_the_team(self):
        context = pathlib.Path(self.server.data) / "ada.yaml"
        context.write_text(self.tell("token", "ada", "--team", "bio", "--for", "1h"))
        done = run("request", "--memory", "10GB", "-o", "json", context=str(context))
        self.assertEqual(json.loads(done.stdout)["spec"]["team"], "bio", done.stderr)
        self.assertRegex(self.tell("get", "tokens"), r"ada +member +bio +1h")

    def test_a_watch_keeps_to_what_was_asked_for(self):
        environment = {**os.environ, "TESSERA_CONTEXT": f"{self.server.data}/context.yaml"}
        watch = subprocess.Popen([BINARY, "get", "requests", "--team", "bio", "--watch"],
                                 env=environment, text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            for team in ("vision", "bio"):
                self.tell("request", "--team", team, "--memory", "1GB")
            time.sleep(1)
        finally:
            watch.terminate()
        lines = watch.communicate(timeout=10)[0].splitlines()
        self.assertEqual(sum(line.startswith("REQUEST ") for line in lines), 1, lines)
        self.assertTrue(any(" bio " in line and " active " in line for line in lines), lines)
        self.assertFalse(any(" vision " in line for line in lines), lines)

    def test_a_family_stands_for_its_models(self):
        need = ("--team", "vision", "--memory", "10GB", "--isolation", "partition", "--dry-run")
        done = json.loads(self.tell("request", *need, "--model", "H100", "-o", "json"))
        self.assertIn("H100-80GB-SXM5", done["spec"]["models"])
        done = self.server.cli("request", *need, "--model", "H10")
        self.assertEqual(done.returncode, 1)
        self.assertIn("H100-80GB-SXM5", done.stderr)

    def test_an_empty_list_tells_what_does_not_exist(self):
        self.tell("get", "requests", "--team", "vision")
        self.assertIn("nobody", self.server.cli("get", "requests", "--team", "nobody").stderr)
        self.tell("get", "requests", "--team", "nobody", code=1)

    def test_what_is_mistyped_is_told_what_was_meant(self):
        for words, meant in ((("reqest",), "request"), (("get", "requests", "--tema", "x"), "--team"),
                             (("get", "requests", "--state", "queud"), "queued")):
            done = self.server.cli(*words)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"did you mean {meant}?", done.stderr)


class BadInput(WithServer):
    def test_each_mistake_is_named_and_the_server_goes_on(self):
        need = {"team": "vision", "memory": "10GB"}
        bad = [
            b"\xff\xfe{}", b"{", b"[1]", b'{"spec":' + b"[" * 2000 + b"]" * 2000 + b"}",
            {"spec": {**need, "memry": "1GB"}}, {"spec": {**need, "memory": "10"}},
            {"spec": {**need, "memory": "-1GB"}}, {"spec": {**need, "count": 0}},
            {"spec": {**need, "count": 10**30}}, {"spec": {**need, "compute": 101}},
            {"spec": {**need, "team": "nobody"}}, {"spec": {**need, "isolation": "strong"}},
            {"spec": {**need, "duration": "8 hours"}}, {"spec": {**need, "models": ["H1000"]}},
            {"spec": {**need, "memory": "99999999999999999999GB"}},
        ]
        for body in bad:
            status, problem = self.server.call("POST", "/v1/requests", body)
            self.assertIn(status, (400, 404, 413, 422), body)
            self.assertTrue(problem["reason"], body)
            self.assertTrue(problem.get("detail") or problem.get("title"), body)
        self.assertEqual(self.server.call("GET", "/readyz")[0], 200)

    def test_ten_megabytes_are_too_many(self):
        try:
            status, _ = self.server.call("POST", "/v1/requests", b"x" * 10_000_000)
            self.assertEqual(status, 413)
        except OSError:
            pass  # refused while still sending
        self.assertEqual(self.server.call("GET", "/readyz")[0], 200)

    def test_files_are_refused_by_line(self):
        pool = "apiVersion: tessera.dev/v1alpha1\nkind: Pool\nmetadata: {name: x}\nspec:\n"
        cases = [
            (pool + "  model: H100-80GB-SXM5\n  teirs: [production]\n", "teirs"),
            (pool + "  model: H100-80GB-SXM5\n  tiers: [production]\n  layout:\n"
             "    policy: static\n    instances: ['4g.40gb@0', '4g.40gb@4']\n", "instances[1]"),
            (pool + "  model: H1000\n  tiers: [production]\n", "H1000"),
        ]
        for text, named in cases:
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(text)
                file.flush()
                done = self.server.cli("apply", "-f", file.name)
            self.assertEqual(done.returncode, 1, text)
            self.assertRegex(done.stderr, re.escape(file.name) + r":\d+")
            self.assertIn(named, done.stderr)


class Crash(WithServer):
    def submit(self, worker, acknowledged, lock):
        for number in range(10):
            body = {"spec": {"team": ("bio", "vision", "speech", "platform")[number % 4],
                             "memory": "5GB", "duration": "8h",
                             "isolation": "limited" if number % 4 == 0 else "partition"}}
            key = {"Idempotency-Key": f"crash-{worker}-{number}"}
            try:
                status, answer = self.server.call("POST", "/v1/requests", body, key)
            except OSError:
                return
            if status == 201:
                with lock:
                    acknowledged[answer["metadata"]["name"]] = answer["status"].get("lease")

    def test_kill_loses_nothing_acknowledged(self):
        acknowledged, lock = {}, threading.Lock()
        workers = [threading.Thread(target=self.submit, args=(i, acknowledged, lock))
                   for i in range(20)]
        for worker in workers:
            worker.start()
        # Somewhere in the middle: after some answers, before all of them.
        eventually(lambda: len(acknowledged) > 60, 20)
        self.server.kill()
        for worker in workers:
            worker.join()
        self.assertGreater(len(acknowledged), 60)
        self.server.start()
        known = {item["metadata"]["name"]: item for item in self.server.items("requests")}
        for name, lease in acknowledged.items():
            self.assertIn(name, known)
            if lease:
                self.assertEqual(known[name]["status"].get("lease"), lease, name)
        held = [(part["gpu"], part.get("start"), part["technology"])
                for item in known.values() for part in item["status"]["slices"]
                if part["technology"] == "mig"]
        self.assertEqual(len(held), len(set(held)), "a slice is held twice")
        self.assertTrue(eventually(lambda: all(
            item["status"]["state"] in ("active", "queued")
            for item in self.server.items("requests"))), "the agents did not converge")


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
