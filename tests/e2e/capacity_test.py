#!/usr/bin/env python3
"""`tessera capacity --demand` as its users call it: capacity_test.py BINARY

Figures that were worked out by hand, and refusals that name the field, each within its time.
"""

import json
import subprocess
import sys
import time
import unittest
from pathlib import Path

BINARY = ""
ROOT = Path(__file__).resolve().parents[2]
FLEET = str(ROOT / "examples/eight-h100.yaml")  # production and development on eight H100s
EXAMPLE = str(ROOT / "examples/capacity.yaml")


def capacity(*arguments, given=None):
    return subprocess.run([BINARY, "capacity", "-f", FLEET, *arguments], input=given,
                          capture_output=True, text=True, timeout=60)


def document(demand, **more):
    return json.dumps({"apiVersion": "tessera.dev/v1alpha1", "kind": "CapacityDemand",
                       "spec": {"demand": demand, **more}})


def line(tier="production", **more):
    return {"tier": tier, "memory": "18GiB", **more}


class Answers(unittest.TestCase):
    def answer(self, demand, *arguments):
        given = None if isinstance(demand, str) and demand.endswith(".yaml") else demand
        run = capacity("--demand", demand if given is None else "-", "-o", "json", *arguments,
                       given=given)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def test_the_example_as_worked_out_by_hand(self):
        # 24 notebooks on average: Erlang's table says 35 slots for 1 % lost, so 35 / 4 = 9 GPUs.
        # H100: 12 / 3 (2g.20gb) + 2 + 9 = 15. A100: a 2g.20gb has 28 SMs, so 12 / 2 + 2 + 9 = 17.
        # No L40S has 60 GiB. A year costs 6000, 3000 and 2000: 8 A100s and 9 L40S are cheapest.
        answer = self.answer(EXAMPLE)
        self.assertEqual([one["slots"] for one in answer["demand"]], [12, 2, 35])
        models = {one["model"]: one for one in answer["models"]}
        self.assertEqual(models["H100-80GB-SXM5"]["alone"]["gpus"], 15)
        self.assertEqual(models["H100-80GB-SXM5"]["alone"]["costPerYear"], "90000.00")
        self.assertEqual(models["A100-80GB-SXM4"]["alone"]["gpus"], 17)
        self.assertFalse(models["L40S-48GB"]["alone"]["possible"])
        self.assertEqual(answer["cheapest"]["mix"], {"A100-80GB-SXM4": 8, "L40S-48GB": 9})
        self.assertEqual(answer["cheapest"]["costPerYear"], "42000.00")
        self.assertTrue(answer["cheapest"]["proven"])
        # Eight H100s: 2 whole, 4 for the services, 2 for 8 notebooks; the other 27 want 7 more.
        tiers = {one["tier"]: one for one in answer["fleet"]["now"]["tiers"]}
        self.assertEqual((tiers["production"]["served"], tiers["production"]["missing"]), (14, 0))
        self.assertEqual((tiers["development"]["served"], tiers["development"]["missing"]), (8, 27))
        self.assertEqual(answer["fleet"]["now"]["served"], 2 * 10 + 12 * 3 + 8)
        self.assertEqual(models["H100-80GB-SXM5"]["beside"]["gpus"], 7)

    def test_techniques_serve_what_their_isolation_allows(self):
        # H100s alone. MIG: (12 x 2 + 35) / 7 compute slices on 9, and two whole: 11. vGPU: 35 slots
        # of work at nine tenths are 39 vGPUs, 8 to a GPU: 5. Time-slicing: 35 / 4: 9.
        answer = self.answer(EXAMPLE)
        found = {one["technique"]: one for one in answer["techniques"]
                 if one["model"] == "H100-80GB-SXM5"}
        self.assertEqual(found["mig"]["alone"]["gpus"], 11)
        self.assertEqual(found["vgpu"]["alone"]["gpus"], 5)
        self.assertEqual(found["time-slicing"]["alone"]["gpus"], 9)
        self.assertEqual(found["whole"]["alone"]["gpus"], 12 + 2 + 35)
        self.assertEqual([found[one]["slots"] for one in ("mig", "vgpu", "time-slicing")],
                         [49, 35, 35])
        self.assertEqual([one["line"] for one in found["time-slicing"]["refused"]], [0, 1])
        self.assertEqual(found["time-slicing"]["whole"]["gpus"], 4 + 2 + 9)
        self.assertEqual(found["vgpu"]["alone"]["licencesPerYear"], "5000.00")
        for one in found.values():
            self.assertTrue(one["whole"]["proven"])

    def test_what_buying_more_changes(self):
        answer = self.answer(EXAMPLE, "--add", "H100-80GB-SXM5=4", "--add", "L40S-48GB=1")
        before, after = (
            {one["tier"]: one["served"] for one in answer["added"][when]["tiers"]}
            for when in ("before", "after"))
        self.assertEqual(before, {"production": 14, "development": 8})
        self.assertEqual(after, {"production": 14, "development": 8 + 16 + 4})

    def test_without_prices_it_is_counted_in_gpus(self):
        answer = self.answer(document([line(count=7)]))
        self.assertEqual([one["model"] for one in answer["models"]], ["H100-80GB-SXM5"])
        self.assertEqual(answer["models"][0]["alone"]["gpus"], 2)  # four 1g.20gb on each
        self.assertIsNone(answer["models"][0]["alone"]["costPerYear"])
        self.assertIsNone(answer["cheapest"])

    def test_the_largest_request_that_fits(self):
        answer = self.answer(document([line()]))
        self.assertEqual(answer["fleet"]["largest"][0]["now"]["memory"], "81152MiB")

    def test_the_same_question_gives_the_same_answer(self):
        answers = [self.answer(EXAMPLE) for _ in range(2)]
        for answer in answers:
            del answer["solveSeconds"]
        self.assertEqual(*answers)

    def test_people_get_tables(self):
        run = capacity("--demand", EXAMPLE, "--add", "H100-80GB-SXM5=4")
        self.assertEqual(run.returncode, 0, run.stderr)
        for word in ("TO BUY", "Cheapest: 8 x A100-80GB-SXM4 + 9 x L40S-48GB for 42 000 a year",
                     "With 4 x H100-80GB-SXM5 more", "NOT SERVED BECAUSE"):
            self.assertIn(word, run.stdout)


class Refusals(unittest.TestCase):
    def refused(self, text, *words, arguments=()):
        began = time.monotonic()
        run = capacity("--demand", "-", "-o", "json", *arguments, given=text)
        self.assertLess(time.monotonic() - began, 5)  # 1 s, and room for a sanitized build
        self.assertEqual((run.returncode, run.stdout), (1, ""), run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)

    def test_demand_that_nothing_can_meet(self):
        self.refused(document([line(memory="500GiB")]), "spec.demand[0].memory")
        self.refused(document([{"tier": "production", "profile": "9g.1gb"}]),
                     "spec.demand[0].profile")
        self.refused(document([line(tier="gold")]), "spec.demand[0].tier", "the tiers are")
        self.refused(document([line(tier="development", isolation="partition")]),
                     "spec.demand[0].isolation", "never gives")

    def test_demand_that_contradicts_itself(self):
        self.refused(document([line(profile="1g.10gb")]), "spec.demand[0]", "contradict")
        self.refused(document([line(count=2, arrivalsPerHour=1, meanDuration="1h")]),
                     "spec.demand[0].count", "contradict")

    def test_time_slicing_is_no_partition(self):
        self.refused(document([line()], timeSlicing={"serves": ["partition"]}),
                     "spec.timeSlicing.serves", "never gives partition")

    def test_figures_out_of_range(self):
        self.refused(document([line(count=10 ** 9)]), "spec.demand[0].count")
        self.refused(document([line(arrivalsPerHour=10 ** 6, meanDuration="30d")]),
                     "spec.demand[0].arrivalsPerHour")
        self.refused(document([line()], serviceLevel="100%"), "spec.serviceLevel")
        self.refused(document([line()], gpus=[{"model": "H100-80GB-SXM5", "price": "-1"}]),
                     "spec.gpus[0].price")

    def test_what_is_to_be_added(self):
        for text in ("H100-80GB-SXM5", "H100-80GB-SXM5=0", "H100-80GB-SXM5=x", "nope=3"):
            self.refused(document([line()]), "--add", arguments=("--add", text))

    def test_what_is_no_document(self):
        for text in ("", "{", "[]", "kind: CapacityDemand", "\xff" * 10, "a: b\n" * 1000):
            self.refused(text, "error:")


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
