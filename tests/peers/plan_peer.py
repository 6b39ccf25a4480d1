#!/usr/bin/env python3
"""Random plan inputs, solved by `tessera plan` and by HiGHS, and compared.

    python3 -m venv build/venv && build/venv/bin/pip install highspy
    build/venv/bin/python tests/peers/plan_peer.py --tessera build/release/tessera --runs 200

The formulation here is a straightforward one of its own: every legal layout of every class is a
column, layouts are enumerated from data/gpu_models.json, and nothing of Tessera is used. It also
checks that every layout is legal, that the layouts hold the leases and serve what the plan says,
and replays every step list GPU by GPU. `--make FILE --gpus N --seed S` only writes an input.
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = {m["key"]: m for m in json.loads((ROOT / "data/gpu_models.json").read_text())["models"]
          if m.get("mig")}
MIXES = [["H100-80GB-SXM5"], ["A100-80GB-SXM4"], ["A30-24GB"],
         ["H100-80GB-SXM5", "A100-80GB-SXM4", "A30-24GB"], ["A100-40GB-SXM4", "A30-24GB"]]


class Gpu:
    """The places of one model: (profile, start) -> its interval."""

    def __init__(self, key, plain_only=True):
        self.profiles = {p["name"]: p for p in MODELS[key]["mig"]["profiles"]}
        self.places = [(n, s) for n, p in self.profiles.items() for s in p["placements"]["starts"]
                       if not plain_only or ("+" not in p["kind"] and "-" not in p["kind"])]

    def span(self, place):
        return range(place[1], place[1] + self.profiles[place[0]]["memory_slices"])

    def legal(self, layout):
        taken = [s for place in layout for s in self.span(place)]
        held = Counter(name for name, _ in layout)
        return (len(taken) == len(set(taken)) and
                all(s in self.profiles[n]["placements"]["starts"] for n, s in layout) and
                all(c <= self.profiles[n]["max_instances"] for n, c in held.items()))

    def layouts(self):
        found = [frozenset()]
        for place in self.places:
            found += [l | {place} for l in found if self.legal(l | {place})]
        return found


GPUS = {key: Gpu(key) for key in MODELS}
_layouts = {}


def maximal(key):
    if key not in _layouts:
        every = GPUS[key].layouts()
        _layouts[key] = [l for l in every
                         if not any(GPUS[key].legal(l | {p}) for p in GPUS[key].places if p not in l)]
    return _layouts[key]


def churned(rng, gpu, options):
    """A GPU after arrivals and departures: random placements, some of them free again."""
    layout = []
    for place in rng.sample(gpu.places, len(gpu.places)):
        if rng.random() < options["fill"] and gpu.legal(layout + [place]):
            layout.append(place)
    slices = []
    for profile, start in sorted(layout, key=lambda p: p[1]):
        one = {"profile": profile, "start": start}
        if rng.random() < options["free"]:
            one["free"] = True
        else:
            if rng.random() < options["pinned"]:
                one["movable"] = False
            if rng.random() < options["weighted"]:
                one["weight"] = rng.choice([0.5, 2, 3, 5])
        slices.append(one)
    return slices


def make_input(rng, count):
    mix = rng.choice(MIXES)
    options = {"fill": rng.uniform(0.1, 0.7), "free": rng.uniform(0, 0.5),
               "pinned": rng.choice([0, 0, 0.1, 0.3]), "weighted": rng.choice([0, 0, 0.3])}
    gpus = []
    for _ in range(count):
        model = rng.choice(mix)
        slices = churned(rng, GPUS[model], options) if rng.random() < 0.95 else []
        gpus.append({"model": model, "count": 1} | ({"slices": slices} if slices else {}))
    demand = []
    for _ in range(rng.randint(1, 8)):
        gpu = GPUS[rng.choice(mix)]
        name = rng.choice(sorted({n for n, _ in gpu.places}))
        items = rng.randint(1, max(1, count * rng.choice([1, 2, 4]) // 4))
        one = {"count": items}
        if rng.random() < 0.5:
            one["profile"] = name
        else:
            p = gpu.profiles[name]
            one["memory"] = f"{rng.randint(p['memory_mib']['value'] // 2, p['memory_mib']['value'])}MiB"
            if rng.random() < 0.5:
                one["sms"] = rng.randint(1, p["sms"]["value"])
        if rng.random() < 0.5:
            one["value"] = rng.choice([0.25, 2, 3, 4, 7])
        demand.append(one)
    return {"apiVersion": "tessera.dev/v1alpha1", "kind": "PlanInput",
            "spec": {"gpus": gpus, "demand": demand}}


def mib(text):
    return int(text[:-3]) * {"MiB": 1, "GiB": 1024}[text[-3:]]


def accepts(one, key, name):
    p = GPUS[key].profiles[name]
    if "profile" in one:
        return one["profile"] == name
    return p["memory_mib"]["value"] >= mib(one["memory"]) and p["sms"]["value"] >= one.get("sms", 0)


def classes_of(document):
    merged = {}
    for gpu in document["spec"]["gpus"]:
        state = (gpu["model"], json.dumps(sorted(gpu.get("slices", []), key=lambda s: s["start"])))
        merged[state] = merged.get(state, 0) + gpu.get("count", 1)
    return [(model, json.loads(slices), count) for (model, slices), count in merged.items()]


def solve(document, seconds):
    """(served, moved), each None where HiGHS did not prove it in time."""
    import highspy
    h = highspy.Highs()
    h.silent()
    h.setOptionValue("time_limit", float(seconds))
    h.setOptionValue("mip_rel_gap", 0.0)
    h.setOptionValue("mip_abs_gap", 1e-6)
    h.setOptionValue("threads", 1)
    inf = highspy.kHighsInf
    rows = {}  # (model, profile) -> list of (column, factor)
    leased = Counter()
    served, moved, equal = {}, {}, []
    columns = 0

    def column(upper):
        nonlocal columns
        h.addVar(0.0, upper)
        h.changeColIntegrality(columns, highspy.HighsVarType.kInteger)
        columns += 1
        return columns - 1

    for key, slices, count in classes_of(document):
        held = [(s["profile"], s["start"], s) for s in slices if not s.get("free")]
        pinned = {(p, s) for p, s, one in held if not one.get("movable", True)}
        for p, _, _ in held:
            leased[key, p] += count
        mine = []
        for layout in maximal(key) + [frozenset((s["profile"], s["start"]) for s in slices)]:
            if not pinned <= layout:
                continue
            z = column(float(count))
            mine.append(z)
            cost = sum(Fraction(str(one.get("weight", 1))) for p, s, one in held
                       if (p, s) not in layout)
            if cost:
                moved[z] = cost
            for profile, k in Counter(n for n, _ in layout).items():
                rows.setdefault((key, profile), []).append((z, float(k)))
        equal.append((mine, count))
    present = {key for key, _, _ in classes_of(document)}
    for one in document["spec"]["demand"]:
        mine = []
        for key in sorted(present):
            for name in sorted({n for n, _ in GPUS[key].places}):
                if accepts(one, key, name):
                    y = column(float(one["count"]))
                    served[y] = Fraction(str(one.get("value", 1)))
                    rows.setdefault((key, name), []).append((y, -1.0))
                    mine.append(y)
        if mine:
            h.addRow(-inf, float(one["count"]), len(mine), mine, [1.0] * len(mine))
    for mine, count in equal:
        h.addRow(float(count), float(count), len(mine), mine, [1.0] * len(mine))
    for kind, entries in rows.items():
        h.addRow(float(leased[kind]), inf, len(entries), [c for c, _ in entries],
                 [f for _, f in entries])

    def run(costs, sense):
        for c in range(columns):
            h.changeColCost(c, float(costs.get(c, 0)))
        h.changeObjectiveSense(sense)
        h.run()
        if h.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        x = [round(v) for v in h.getSolution().col_value]
        return sum((x[c] * f for c, f in costs.items()), Fraction(0))

    best = run(served, highspy.ObjSense.kMaximize)
    if best is None:
        return None, None
    if served:
        h.addRow(float(best) - 1e-6, inf, len(served), list(served), [float(v) for v in served.values()])
    return best, run(moved, highspy.ObjSense.kMinimize)


def check_layouts(document, plan):
    room = Counter()
    for one in plan["layouts"]:
        layout = [(p["profile"], p["start"]) for p in one["placements"]]
        assert GPUS[one["model"]].legal(layout), ("illegal layout", one)
        for profile, _ in layout:
            room[one["model"], profile] += one["count"]
    for gpu in document["spec"]["gpus"]:
        for s in gpu.get("slices", []):
            if not s.get("free"):
                room[gpu["model"], s["profile"]] -= gpu.get("count", 1)
    given = Counter()
    value = Fraction(0)
    for one in plan["services"]:
        demand = document["spec"]["demand"][one["demand"]]
        assert accepts(demand, one["model"], one["profile"]), ("wrong service", one)
        room[one["model"], one["profile"]] -= one["count"]
        given[one["demand"]] += one["count"]
        value += one["count"] * Fraction(str(demand.get("value", 1)))
    assert all(n >= 0 for n in room.values()), ("more served than there is", room)
    assert all(n <= document["spec"]["demand"][d]["count"] for d, n in given.items())
    assert value == Fraction(str(plan["served"])), (value, plan["served"])


def replay(document, plan, spare):
    """GPU by GPU: a slice exists before it is used, is free before it goes, and places are free."""
    fleet = {}
    for index, of in enumerate(plan["classes"]):
        numbers = iter(range(of["count"]))
        for share in of.get("entries", []):
            slices = document["spec"]["gpus"][share["gpus"]].get("slices", [])
            for _ in range(share["count"]):
                fleet[index, next(numbers)] = {(s["profile"], s["start"]): not s.get("free", False)
                                               for s in slices}
        for number in numbers:
            assert of.get("spare"), "a GPU without an entry"
            fleet[index, number] = {}
    before = {g: dict(state) for g, state in fleet.items()}
    stopped = forced = 0
    cordoned = set()

    def gpus(of):
        return [(of["class"], of["first"] + i) for i in range(of["count"])]

    for step in plan["steps"]:
        places = [(p["profile"], p["start"]) for p in step.get("placements", [])]
        for i, g in enumerate(gpus(step["gpus"])):
            state = fleet[g]
            model = plan["classes"][g[0]]["model"]
            do = step["do"]
            if do == "cordon":
                cordoned.add(g)
            elif do == "uncordon":
                cordoned.remove(g)
            elif do == "create":
                assert g in cordoned
                for p in places:
                    assert p not in state
                    state[p] = False
                assert GPUS[model].legal(list(state)), ("illegal state", step, state)
            elif do == "destroy":
                assert g in cordoned
                for p in places:
                    assert state.pop(p) is False, ("destroys what is held", step)
            elif do == "move":
                (p,) = places
                goal = gpus(step["to"])[i]
                to = (step["to"]["placement"]["profile"], step["to"]["placement"]["start"])
                assert to[0] == p[0] and plan["classes"][goal[0]]["model"] == model
                assert state[p] and fleet[goal][to] is False, ("moves onto a held slice", step)
                state[p], fleet[goal][to] = False, True
            elif do == "stop":
                (p,) = places
                assert state[p]
                state[p] = False
                stopped += 1
                forced += 1
            elif do == "start":
                (p,) = places
                assert state[p] is False
                state[p] = True
                stopped -= 1
            else:
                raise AssertionError(do)
    assert stopped == 0 and not cordoned and forced == plan["forcedRestarts"]
    weight = Fraction(0)
    for target in plan["targets"]:
        layout = {(p["profile"], p["start"]) for p in target["placements"]}
        for g in gpus({"class": target["class"], "first": target["first"], "count": target["count"]}):
            assert set(fleet[g]) == layout, ("another layout than planned", g)
    for index, of in enumerate(plan["classes"]):
        first = 0
        for share in of.get("entries", []):
            for s in document["spec"]["gpus"][share["gpus"]].get("slices", []):
                for number in range(first, first + share["count"]):
                    place = (s["profile"], s["start"])
                    if not s.get("free") and place not in fleet[index, number]:
                        assert s.get("movable", True), "moves a pinned lease"
                        weight += Fraction(str(s.get("weight", 1)))
            first += share["count"]
        if of.get("spare"):
            assert all(not fleet[index, n] for n in range(of["count"]))
    assert weight == Fraction(str(plan["moved"])), (weight, plan["moved"])
    changed = sum(1 for g, s in before.items() if set(s) != set(fleet[g]))
    assert changed == plan["changedGpus"], (changed, plan["changedGpus"])


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tessera", default="build/release/tessera")
    options.add_argument("--runs", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--gpus", type=int)
    options.add_argument("--make")
    options.add_argument("--peer-seconds", type=float, default=60)
    given = options.parse_args()
    if given.make:
        rng = random.Random(given.seed)
        Path(given.make).write_text(json.dumps(make_input(rng, given.gpus or 64)))
        return 0
    proven = equal = unsure = wrong = restarts = 0
    times = []
    for run in range(given.runs):
        rng = random.Random(given.seed * 1_000_003 + run)
        document = make_input(rng, given.gpus or rng.choice([8, 12, 16, 24, 32, 64, 128, 256, 512]))
        spare = rng.choice([0, 0, 1])
        answer = subprocess.run([given.tessera, "plan", "-f", "-", "-o", "json", "--spare", str(spare)],
                                input=json.dumps(document), capture_output=True, text=True, timeout=60)
        try:
            assert answer.returncode == 0, answer.stderr
            plan = json.loads(answer.stdout)
            check_layouts(document, plan)
            replay(document, plan, spare)
        except AssertionError as error:
            wrong += 1
            print(f"run {run}: {error}", file=sys.stderr)
            continue
        times.append(plan["solveSeconds"])
        restarts += plan["forcedRestarts"]
        proven += plan["proven"]
        best, moved = solve(document, given.peer_seconds)
        if best is None or moved is None:
            unsure += 1
            continue
        same = Fraction(str(plan["served"])) == best and Fraction(str(plan["moved"])) == moved
        equal += same
        if not plan["proven"] or not same:
            wrong += plan["proven"] and not same
            print(f"run {run}: {len(document['spec']['gpus'])} GPUs, served {plan['served']} of "
                  f"{plan['servedBound']} moved {plan['moved']} ({plan['movedBound']}) changed "
                  f"{plan['changedGpus']} ({plan['changedBound']}) proven {plan['proven']} in "
                  f"{plan['solveSeconds']:.2f}s; peer {float(best)} {float(moved)}", file=sys.stderr)
    times.sort()
    print(f"{given.runs} runs: {proven} proven, {equal} equal to the peer, {unsure} the peer could "
          f"not settle, {wrong} wrong; {restarts} forced restarts; seconds median "
          f"{times[len(times) // 2]:.3f}, worst {times[-1]:.3f}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
