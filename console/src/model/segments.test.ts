import assert from "node:assert/strict";
import test from "node:test";
import type { Gpu, GpuSlice, Technology } from "../api/types";
import { axisOf, segmentsOf, tally } from "./segments";

function slice(
  start: number,
  size: number,
  technology: Technology = "mig",
  phase: GpuSlice["phase"] = "in-use",
): GpuSlice {
  return { generation: start + 1, phase, technology, profile: "p", start, size, memory: "1MiB" };
}
function gpu(slices: GpuSlice[], more: Partial<Gpu["status"]> = {}): Gpu {
  return {
    kind: "Gpu",
    metadata: { name: "node-1/0" },
    spec: { node: "node-1", pool: "h100", model: "H100", number: 0 },
    status: {
      health: "healthy",
      state: "ready",
      memory: "81152MiB",
      memorySlices: 8,
      computeSlices: 7,
      slices,
      free: [],
      stranded: [],
      ...more,
    },
  };
}

test("the axis is memory slices under MIG and MiB when shared", () => {
  assert.equal(axisOf(gpu([])), 8);
  assert.equal(axisOf(gpu([slice(0, 8, "whole")])), 8);
  assert.equal(axisOf(gpu([slice(0, 4096, "time-slicing")])), 81152);
  assert.equal(axisOf(gpu([], { memorySlices: 0 })), 81152);
});

test("segments follow each other without a gap and without an overlap", () => {
  const cases = [
    gpu([]),
    gpu([slice(4, 4), slice(0, 1)], { free: [{ start: 1, size: 2 }], stranded: [{ start: 3, size: 1 }] }),
    gpu([slice(0, 4, "mig", "idle")], { free: [{ start: 0, size: 8 }] }),
    gpu([slice(2, 2)], { free: [{ start: 0, size: 8 }], stranded: [{ start: 0, size: 8 }] }),
    gpu([slice(0, 10240, "time-slicing"), slice(10240, 2048, "time-slicing")]),
  ];
  for (const one of cases) {
    let at = 0;
    for (const segment of segmentsOf(one)) {
      assert.ok(Math.abs(segment.start - at) < 1e-9, JSON.stringify(segmentsOf(one)));
      assert.ok(segment.size > 0);
      at = segment.start + segment.size;
    }
    assert.ok(Math.abs(at - 1) < 1e-9);
  }
});

test("what is neither a slice nor free cannot be allocated", () => {
  const segments = segmentsOf(gpu([slice(0, 4)], { free: [{ start: 4, size: 3 }] }));
  assert.deepEqual(
    segments.map((s) => s.kind),
    ["slice", "free", "stranded"],
  );
});

test("an idle instance is shown although the memory under it is free", () => {
  const segments = segmentsOf(gpu([slice(0, 4, "mig", "idle")], { free: [{ start: 0, size: 8 }] }));
  assert.deepEqual(
    segments.map((s) => [s.kind, s.slice?.phase]),
    [
      ["slice", "idle"],
      ["free", undefined],
    ],
  );
});

test("the tally adds up to the fleet", () => {
  const fleet = [
    gpu([slice(0, 4), slice(4, 2, "mig", "idle")], { free: [{ start: 6, size: 1 }] }),
    gpu([slice(0, 2)], { state: "away" }),
    gpu([], { health: "quarantined", free: [{ start: 0, size: 8 }] }),
  ];
  const sum = tally(fleet);
  assert.ok(Math.abs(sum.held + sum.idle + sum.free + sum.stranded + sum.away - 3) < 1e-9);
  assert.deepEqual([sum.held, sum.idle, sum.free, sum.stranded, sum.away], [0.75, 0.25, 0.125, 0.125, 1.75]);
});
