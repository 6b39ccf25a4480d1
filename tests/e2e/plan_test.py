#!/usr/bin/env python3
"""`tessera plan` as its users call it: plan_test.py BINARY

Answers, and refusals that name the field, each within its time.
"""

import json
import subprocess
import sys
import time
import unittest
from pathlib import Path

BINARY = ""
ROOT = Path(__file__).resolve().parents[2]


def plan(*arguments, given=None):
    return subprocess.run([BINARY, "plan", *arguments], input=given, capture_output=True, text=True,
                          timeout=60)


def document(gpus, demand):
    return json.dumps({"apiVersion": "tessera.dev/v1alpha1", "kind": "PlanInput",
                       "spec": {"gpus": gpus, "demand": demand}})


def h100(**more):
    return {"model": "H100-80GB-SXM5", **more}


class Answers(unittest.TestCase):
    def answer(self, *arguments, given=None):
        run = plan(*arguments, "-o", "json", given=given)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def test_the_example_is_planned_and_proven(self):
        answer = self.answer("-f", str(ROOT / "examples/plan.yaml"))
        self.assertTrue(answer["proven"])
        self.assertEqual(answer["served"], answer["servedBound"])
        self.assertEqual(answer["moved"], answer["movedBound"])

    def test_the_same_input_gives_the_same_plan(self):
        answers = [self.answer("-f", str(ROOT / "examples/plan.yaml")) for _ in range(2)]
        for answer in answers:
            del answer["solveSeconds"]
        self.assertEqual(*answers)

    def test_leases_that_are_in_the_way_move_before_their_slices_go(self):
        # A 7g.80gb needs an empty GPU: one of the two 3g.40gb joins the other.
        slices = [{"profile": "3g.40gb", "start": 0}]
        answer = self.answer("-f", "-", given=document([h100(count=2, slices=slices)],
                                                       [{"profile": "7g.80gb"}]))
        self.assertEqual((answer["served"], answer["moved"], answer["forcedRestarts"]), (1, 1, 0))
        done = [step["do"] for step in answer["steps"]]
        self.assertLess(done.index("create"), done.index("move"))
        self.assertLess(done.index("move"), done.index("destroy"))

    def test_a_pinned_lease_stays(self):
        slices = [{"profile": "3g.40gb", "start": 0, "movable": False}]
        answer = self.answer("-f", "-", given=document([h100(count=2, slices=slices)],
                                                       [{"profile": "7g.80gb"}]))
        self.assertEqual((answer["served"], answer["moved"], answer["proven"]), (0, 0, True))

    def test_an_assertion_of_the_solver_does_not_end_us(self):
        self.check_recorded("solver_aborts")

    def test_what_the_solver_prints_does_not_spoil_the_answer(self):
        self.check_recorded("solver_prints")

    def check_recorded(self, name):
        answer = self.answer("-f", str(ROOT / f"tests/data/plans/{name}.json"))
        self.assertLessEqual(answer["served"], answer["servedBound"])
        self.assertGreater(answer["served"], 0)


class Refusals(unittest.TestCase):
    def refused(self, text, *words):
        began = time.monotonic()
        run = plan("-f", "-", "-o", "json", given=text)
        self.assertLess(time.monotonic() - began, 5)  # 1 s, and room for a sanitized build
        self.assertEqual((run.returncode, run.stdout), (1, ""), run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)

    def test_demand_that_nothing_can_meet(self):
        self.refused(document([h100()], [{"profile": "9g.1gb"}]), "spec.demand[0].profile")
        self.refused(document([h100()], [{"memory": "500GiB"}]), "spec.demand[0].memory")

    def test_demand_that_contradicts_itself(self):
        self.refused(document([h100()], [{"memory": "10GiB", "profile": "1g.10gb"}]),
                     "spec.demand[0]", "contradict")
        self.refused(document([h100()], [{"count": 1}]), "spec.demand[0]")

    def test_slices_that_cannot_be(self):
        place = {"profile": "3g.40gb", "start": 4}
        self.refused(document([h100(slices=[{**place, "start": 1}])], []), "slices[0].start")
        self.refused(document([h100(slices=[place, place])], []), "slices[1]", "overlaps")
        self.refused(document([h100(slices=[{**place, "free": True, "movable": False}])], []),
                     "slices[0].movable")

    def test_figures_out_of_range(self):
        self.refused(document([h100(count=-3)], []), "spec.gpus[0].count")
        self.refused(document([h100(count=10 ** 20)], []), "spec.gpus[0].count")
        self.refused(document([h100()], [{"profile": "1g.10gb", "value": -1}]), "demand[0].value")
        self.refused(document([h100()], [{"memory": "10 bananas"}]), "demand[0].memory")

    def test_names_that_nobody_knows(self):
        self.refused(document([{"model": "nope"}], []), "spec.gpus[0].model", "known models")
        self.refused(document([h100(colour=1)], []), "spec.gpus[0].colour")
        self.refused(document([{"model": "T4-16GB"}], []), "spec.gpus[0].model", "no MIG")

    def test_what_is_no_document(self):
        for text in ("", "{", "[]", "kind: PlanInput", "\xff" * 10, "a: b\n" * 1000):
            self.refused(text, "error:")


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
