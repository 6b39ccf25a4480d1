#!/usr/bin/env python3
"""Planning against a control plane, through its command line: plan_server_test.py BINARY

Two GPUs with one small lease each have no room for a large one, until a plan has moved a lease.
"""

import datetime
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

BINARY = ""
FLEET = """
kind: Tier
metadata: {name: jobs}
spec: {isolation: partition, technologies: [mig], movable: true, notice: 2s}
---
kind: Pool
metadata: {name: h100}
spec: {model: H100-80GB-SXM5, tiers: [jobs]}
---
kind: Node
metadata: {name: node-1}
spec: {pool: h100, gpus: 2}
---
kind: Team
metadata: {name: vision}
spec: {}
"""


class Planning(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.data = pathlib.Path(self.folder.name)
        (self.data / "fleet.yaml").write_text(FLEET)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def tearDown(self):
        self.server.kill()
        self.server.wait(timeout=10)
        self.folder.cleanup()

    def start(self):
        self.server = subprocess.Popen(
            [BINARY, "up", "--fleet", self.data / "fleet.yaml", "--data", self.data,
             "--listen", f"127.0.0.1:{self.port}"], stdout=subprocess.DEVNULL)
        self.until("the server is ready", self.ready)
        text = (self.data / "context.yaml").read_text()
        self.token = re.search(r'token: "?([^"\n]+)', text).group(1)

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def until(self, what, holds, patience=30):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            found = holds()
            if found:
                return found
            time.sleep(0.05)
        raise TimeoutError(f"{what}: not within {patience} s")

    def call(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        request.add_header("Authorization", "Bearer " + self.token)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def plan(self, *arguments, code=0):
        done = subprocess.run([BINARY, "--context", self.data / "context.yaml", "plan", *arguments],
                              capture_output=True, text=True, timeout=90)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def request(self, memory, **more):
        made = self.call("POST", "/requests", {
            "kind": "Request", "spec": {"team": "vision", "memory": memory, "duration": "1h"} | more})
        return made["metadata"]["name"]

    def release(self, names):
        for name in names:
            lease = self.call("GET", f"/requests/{name}")["status"]["lease"]
            self.call("POST", f"/leases/{lease}/release", {})
        for name in names:
            self.until(f"{name} is over", lambda: self.state(name) == "released")

    def state(self, name):
        return self.call("GET", f"/requests/{name}")["status"]["state"]

    def active(self, name):
        self.until(f"{name} is active", lambda: self.state(name) == "active")
        return self.call("GET", f"/requests/{name}")["status"]

    def scatter(self):
        """One lease of 20 GB on each GPU, and a request for a whole one's memory that waits."""
        kept, fillers = [], []
        for _ in range(2):
            kept.append(self.request("18GiB"))
            fillers += [self.request("38GiB"), self.request("18GiB")]
        for name in kept + fillers:
            self.active(name)
        self.release(fillers)
        gpus = {self.active(name)["slices"][0]["gpu"] for name in kept}
        self.assertEqual(len(gpus), 2, "one on each GPU")
        large = self.request("70GiB")
        self.assertEqual(self.state(large), "queued")
        return kept, large

    def test_a_plan_makes_room_and_every_lease_stays_active(self):
        kept, large = self.scatter()
        trial = json.loads(self.plan("--from-server", "--dry-run", "-o", "json"))
        self.assertEqual(trial["metadata"]["name"], "")
        self.assertEqual(trial["status"]["served"], 1)
        self.assertTrue(trial["status"]["proven"])
        self.assertEqual(len(trial["status"]["moves"]), 1)
        self.assertEqual(self.call("GET", "/plans")["items"], [])

        text = self.plan("--from-server")
        self.assertIn("Stored as plan-1.", text)
        self.assertIn("Proven", text)
        self.assertIn("proposed", self.plan("show"))
        self.assertIn("is done: 1 of 1 moves done", self.plan("apply", "plan-1", "--watch"))

        self.assertEqual(self.active(large)["slices"][0]["profile"], "7g.80gb")
        moved = trial["status"]["moves"][0]["lease"]
        lease = self.call("GET", f"/leases/{moved}")["status"]
        self.assertEqual(lease["state"], "active")
        self.assertEqual(lease["moved"]["deviceAfter"], lease["slices"][0]["device"])
        self.assertNotEqual(lease["moved"]["deviceBefore"], lease["moved"]["deviceAfter"])
        for name in kept:
            self.active(name)

    def test_a_plan_that_time_has_passed_by_is_refused(self):
        kept, _ = self.scatter()
        self.plan("--from-server")
        lease = self.call("GET", f"/requests/{kept[0]}")["status"]["lease"]
        self.call("POST", f"/leases/{lease}/release", {})
        self.until("the lease is over", lambda: self.state(kept[0]) == "released")
        self.assertIn("PlanOutdated", self.plan("apply", "plan-1", code=1))
        self.plan("abort", "plan-1")
        self.assertIn("aborted", self.plan("show", "plan-1"))

    def test_what_was_asked_for_is_planned_for_and_survives_a_restart(self):
        name = self.request("18GiB")
        self.active(name)
        self.server.kill()
        self.server.wait(timeout=10)
        self.start()
        history = self.call("GET", "/history")
        self.assertEqual([line["size"] for line in history["series"]], ["18GiB"])
        self.assertEqual(history["series"][0]["held"], 1)
        forecast = self.call("GET", "/forecast?headroom=4")
        self.assertEqual(forecast["lines"][0]["expected"], 4)

        made = json.loads(self.plan("--from-server", "--from-history", "--headroom", "4",
                                    "--at", "Sat 02:00", "--for", "2h", "-o", "json"))["status"]
        line = made["forecast"]["lines"][0]
        self.assertEqual((line["tier"], line["held"], line["expected"], line["more"]),
                         ("jobs", 1, 4, 3))
        self.assertIn(made["forecast"]["basis"], ["nothing", "all-hours"], "nothing older is known")
        self.assertEqual([(one["count"], one["served"]) for one in made["demand"]], [(3, 3)])
        text = self.plan("--from-server", "--from-history", "--headroom", "4", "--dry-run")
        self.assertIn("expected in jobs: 18GiB", text)
        self.assertRegex(text, r"jobs +18GiB +1 +0 +1 +4 +3")
        self.assertIn("--at", self.plan("--from-server", "--at", "Sat 02:00", code=2))

    def window(self, minutes):
        """A window that opens so many minutes from now and lasts an hour."""
        now = datetime.datetime.now(datetime.timezone.utc)
        opens = now + datetime.timedelta(minutes=minutes)
        closes = opens + datetime.timedelta(hours=1)
        return f"{opens:%a %H:%M}-{closes:%H:%M}"

    def test_a_plan_waits_for_its_window(self):
        _, large = self.scatter()
        self.plan("--from-server")
        self.assertIn("plan-1 is scheduled", self.plan("apply", "plan-1", "--window", self.window(90)))
        self.assertEqual(self.state(large), "queued")
        hints = self.call("GET", f"/requests/{large}/explanation")["hints"]
        self.assertTrue(any("plan-1 makes room for it" in hint for hint in hints), hints)
        self.plan("abort", "plan-1")
        self.assertIn("InvalidQuantity", self.plan("apply", "plan-1", "--window", "soon", code=1))

        self.plan("--from-server")
        text = self.plan("apply", "plan-2", "--window", self.window(-5), "--watch")
        self.assertIn("is done", text)
        self.active(large)

    def locked(self):
        """A GPU with 3g.40gb at 0 and 1g.10gb at 4 and 5: there is room for 2g.20gb once the large
        one and the small ones have changed sides, and nowhere to put either meanwhile."""
        kept = [self.request("70GiB")]
        small = {self.active(name)["slices"][0]["start"]: name
                 for name in [self.request("9GiB") for _ in range(7)]}
        self.assertEqual(sorted(small), list(range(7)), "all on the other GPU")
        self.release([small[start] for start in (0, 1, 2, 3, 6)])
        kept += [small[4], small[5], self.request("38GiB")]
        self.assertEqual(self.active(kept[-1])["slices"][0]["start"], 0)
        waits = self.request("18GiB", sms=30)
        self.assertEqual(self.state(waits), "queued")
        return kept, waits

    def test_leases_that_cannot_move_are_restarted_if_that_is_agreed_to(self):
        kept, waits = self.locked()
        made = json.loads(self.plan("--from-server", "-o", "json"))["status"]
        restarts = made["restarts"]
        self.assertEqual(made["served"], 1)
        self.assertGreater(len(restarts), 0)
        self.assertEqual(len(restarts), made["forcedRestarts"])
        text = self.plan("show", "plan-1")
        self.assertIn("RESTARTED", text)
        self.assertIn(restarts[0]["lease"], text)
        self.assertIn("--allow-restarts", self.plan("apply", "plan-1", code=1))

        self.plan("apply", "plan-1", "--allow-restarts")
        told = self.call("GET", f"/leases/{restarts[0]['lease']}")["status"]
        self.assertEqual((told["state"], told["restart"]["plan"]), ("active", "plan-1"))
        self.server.kill()
        self.server.wait(timeout=10)
        self.start()
        self.until("the plan is over",
                   lambda: self.call("GET", "/plans/plan-1")["status"]["state"] == "done")
        self.assertEqual(self.active(waits)["slices"][0]["profile"], "2g.20gb")
        for name in kept:
            self.active(name)
        done = self.call("GET", "/plans/plan-1")["status"]["restarts"]
        for one in done:
            self.assertEqual(one["state"], "done")
            self.assertEqual(self.call("GET", f"/leases/{one['newLease']}")["status"]["state"], "active")

    def test_a_plan_that_is_aborted_gives_back_what_it_stopped(self):
        kept, waits = self.locked()
        self.plan("--from-server")
        self.plan("apply", "plan-1", "--allow-restarts")
        states = lambda: [one["state"] for one in self.call("GET", "/plans/plan-1")["status"]["restarts"]]
        self.until("one is stopped", lambda: "waiting" not in states())
        self.plan("abort", "plan-1")
        self.until("it has turned back", lambda: self.call(
            "GET", "/plans/plan-1")["status"]["state"] in ("aborted", "done"))
        for name in kept:
            self.active(name)

    def test_a_request_for_two_slices_gets_them_on_one_node(self):
        self.scatter()
        (large,) = [one["metadata"]["name"] for one in self.call("GET", "/requests")["items"]
                    if one["status"]["state"] == "queued"]
        self.call("POST", f"/requests/{large}/cancel", {})
        pair = self.request("38GiB", count=3)
        if self.state(pair) == "queued":
            made = json.loads(self.plan("--from-server", "-o", "json"))["status"]
            self.assertEqual(len(made["grants"]), 3)
            self.assertIn("is done", self.plan("apply", "plan-1", "--watch"))
        self.assertEqual(len(self.active(pair)["slices"]), 3)

    def test_a_killed_server_goes_on_with_the_plan(self):
        _, large = self.scatter()
        self.plan("--from-server")
        self.plan("apply", "plan-1")
        self.server.kill()
        self.server.wait(timeout=10)
        self.start()
        self.until("the plan is over",
                   lambda: self.call("GET", "/plans/plan-1")["status"]["state"] == "done")
        self.active(large)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main()
