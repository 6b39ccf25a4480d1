import assert from "node:assert/strict";
import { test } from "node:test";
import type { Plan } from "../api/types";
import { barsOf, demandOf, kPicture, momentOf, pictureOf, verdictOf } from "./plan";

const plan: Plan = {
  kind: "Plan",
  metadata: { name: "plan-1" },
  spec: { maxParallel: 8 },
  status: {
    state: "proposed",
    window: null,
    reason: null,
    message: null,
    revision: 7,
    served: 1,
    servedBound: 1,
    moved: 1,
    movedBound: 1,
    changedGpus: 2,
    changedBound: 2,
    proven: true,
    forcedRestarts: 0,
    peakExtra: 0,
    solveSeconds: 0.021,
    progress: { moves: 1, done: 0, skipped: 0 },
    demand: [{ text: "waiting for 7g.80gb or more", count: 1, served: 1 }],
    gpus: [
      {
        gpu: "node-1/0",
        pool: "h100",
        model: "H100-80GB-SXM5",
        axis: 8,
        changing: false,
        before: [{ profile: "2g.20gb", start: 0, size: 2, use: "leased", lease: "lease-4" }],
        after: [{ profile: "7g.80gb", start: 0, size: 8, use: "planned", request: "req-9" }],
      },
      {
        gpu: "node-1/1",
        pool: "h100",
        model: "H100-80GB-SXM5",
        axis: 8,
        changing: false,
        before: [{ profile: "2g.20gb", start: 0, size: 2, use: "leased" }],
        after: [
          { profile: "2g.20gb", start: 0, size: 2, use: "leased" },
          { profile: "2g.20gb", start: 2, size: 2, use: "leased", lease: "lease-4" },
        ],
      },
    ],
    mayRestart: false,
    restarts: [],
    moves: [
      {
        lease: "lease-4",
        team: "vision",
        from: { gpu: "node-1/0", profile: "2g.20gb", start: 0 },
        to: { gpu: "node-1/1", profile: "2g.20gb", start: 2 },
        state: "waiting",
      },
    ],
    grants: [{ gpu: "node-1/0", profile: "7g.80gb", start: 0, request: "req-9" }],
    forecast: null,
    notes: [],
  },
};

test("lines that say nothing are no demand", () => {
  assert.deepEqual(
    demandOf([
      { what: "", count: "3" },
      { what: " 2g.20gb ", count: "3" },
      { what: "18GiB", count: "1" },
    ]),
    [
      { profile: "2g.20gb", count: 3 },
      { memory: "18GiB", count: 1 },
    ],
  );
});

test("a proven plan says so, another one names its gap", () => {
  assert.match(verdictOf(plan).achieves, /^Serves 1 of 1 asked for; moves 1 lease and changes 2 GPUs\.$/);
  assert.match(verdictOf(plan).proof, /^Proven in 0\.02 s/);
  const open = { ...plan, status: { ...plan.status, proven: false, servedBound: 3 } };
  assert.match(verdictOf(open).proof, /at most 3 can be served \(gap 2\)/);
});

test("a GPU is drawn to scale, and a lease's way leads from today to tomorrow", () => {
  const picture = pictureOf(plan);
  assert.equal(picture.rows.length, 2);
  assert.equal(picture.rows[0]?.before[0]?.width, kPicture.bar / 4);
  assert.equal(picture.arrows.length, 1);
  const [arrow] = picture.arrows;
  assert.equal(arrow?.team, "vision");
  const target = picture.rows[1]?.after[1];
  assert.ok(target && arrow?.path.endsWith(` ${target.x + target.width / 2} ${target.y + (target.y > arrow.y ? 0 : target.height)}`));
});

test("a forecast is drawn to the scale of its longest bar", () => {
  const line = { tier: "production", size: "18GiB", usual: 7, more: 3 };
  const bars = barsOf({
    percentile: 95,
    over: "28d",
    headroom: 1.2,
    from: "2026-11-28T02:00:00Z",
    until: "2026-11-28T06:00:00Z",
    basis: "same-hour",
    samples: 4,
    message: "",
    lines: [
      { ...line, held: 4, waiting: 1, expected: 8 },
      { ...line, held: 14, waiting: 2, expected: 2 },
    ],
    other: { now: 0, usual: 0, expected: 0 },
  });
  assert.deepEqual(
    bars.map(({ held, waiting, expected }) => [held, waiting, expected]),
    [
      [25, 6.3, 50],
      [87.5, 12.5, 12.5],
    ],
  );
});

test("moments are in the server's time", () => {
  assert.equal(momentOf("2026-11-28T02:00:00Z"), "28 Nov 02:00 UTC");
});
