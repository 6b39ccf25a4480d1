import assert from "node:assert/strict";
import test from "node:test";
import type { Request, RequestState } from "../api/types";
import { gpuMatches, groupFleet, ticksOf } from "./fleet";
import { assignMarks, kColours } from "./palette";
import { byNumber, commandOf, compactNeed, matches, normaliseMemory, stepsOf, wantOf } from "./requests";

function request(state: RequestState): Request {
  return {
    kind: "Request",
    metadata: { name: "req-7", team: "vision" },
    spec: { team: "vision", memory: "9537MiB", isolation: "partition", purpose: "reranker", count: 1 },
    status: { state, tier: "production", reason: state === "queued" ? "NoCapacity" : null },
  };
}

test("typed memory gets the unit's spelling, never a unit that was not typed", () => {
  assert.equal(normaliseMemory(" 10 gb "), "10GB");
  assert.equal(normaliseMemory("10gib"), "10GiB");
  assert.equal(normaliseMemory("1,5 GiB"), "1.5GiB");
  assert.equal(normaliseMemory("10"), "10");
  assert.equal(normaliseMemory("lots"), "lots");
});

test("a need says only what was asked for", () => {
  assert.deepEqual(
    compactNeed({
      team: "vision",
      memory: "10GB",
      compute: 0,
      count: 1,
      tier: "",
      models: [],
      isolation: "partition",
    }),
    { team: "vision", memory: "10GB", isolation: "partition" },
  );
});

test("the command line asks for the same, quoted where a shell would stumble", () => {
  const need = { team: "vision", memory: "10GB", duration: "8h", count: 2, purpose: "it's a test" };
  assert.equal(
    commandOf(need),
    "tessera request --team vision --memory 10GB --count 2 --for 8h --purpose 'it'\\''s a test'",
  );
});

test("a want in words", () => {
  assert.equal(wantOf(request("active").spec), "10 GB · partition");
  assert.equal(wantOf({ team: "a", memory: "0MiB", isolation: "dedicated", count: 8 }), "8 × whole GPU");
  assert.equal(wantOf({ team: "a", memory: "0MiB", isolation: "shared" }), "any GPU");
});

test("every state has exactly one step that is now, or none once it is over", () => {
  const states: RequestState[] = [
    "pending-approval",
    "approved",
    "queued",
    "provisioning",
    "active",
    "expiring",
    "releasing",
    "rejected",
    "cancelled",
    "failed",
  ];
  for (const state of states)
    assert.equal(
      stepsOf(request(state)).filter((s) => s.done === "now" || s.done === "failed").length,
      1,
      state,
    );
  assert.ok(stepsOf(request("released")).every((s) => s.done === "done"));
});

test("a filter needs all its words", () => {
  assert.ok(matches(request("queued"), "VISION nocap"));
  assert.ok(!matches(request("queued"), "vision released"));
});

test("names are ordered by number", () => {
  assert.deepEqual(["req-10", "req-9", "req-100"].sort(byNumber), ["req-9", "req-10", "req-100"]);
});

test("teams keep apart: colour and round are unique, letters too", () => {
  const teams = Array.from({ length: 40 }, (_, i) => `team-${String.fromCharCode(97 + (i % 26))}${i}`);
  const marks = assignMarks(teams);
  const seen = new Set([...marks.values()].map((m) => `${m.colour}/${m.round}`));
  assert.equal(seen.size, teams.length);
  assert.equal(new Set([...marks.values()].map((m) => m.letters)).size, teams.length);
  assert.ok([...marks.values()].every((m) => m.colour >= 0 && m.colour < kColours));
});

test("up to nine teams never need a second mark, whatever their names", () => {
  const marks = assignMarks(["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
  assert.ok([...marks.values()].every((m) => m.round === 0));
});

test("the fleet is grouped by pool and node, in natural order", () => {
  const gpu = (node: string, number: number, pool: string) => ({
    kind: "Gpu" as const,
    metadata: { name: `${node}/${number}` },
    spec: { node, pool, model: "H100", number },
    status: {
      health: "healthy",
      state: "ready" as const,
      memory: "1GiB",
      memorySlices: 8,
      computeSlices: 7,
      slices: [],
      free: [],
      stranded: [],
    },
  });
  const groups = groupFleet(
    [gpu("n-10", 0, "b"), gpu("n-2", 1, "b"), gpu("n-2", 0, "b"), gpu("x", 0, "a")],
    [],
    [],
  );
  assert.deepEqual(
    groups.map((g) => g.name),
    ["a", "b"],
  );
  assert.deepEqual(
    groups[1]?.nodes.map((n) => [n.name, n.gpus]),
    [
      ["n-2", ["n-2/0", "n-2/1"]],
      ["n-10", ["n-10/0"]],
    ],
  );
  assert.ok(gpuMatches(gpu("n-2", 1, "b"), "h100 ready"));
  assert.deepEqual(ticksOf(80), [0, 20, 40, 60, 80]);
});
