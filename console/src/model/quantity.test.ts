import assert from "node:assert/strict";
import test from "node:test";
import {
  clock,
  formatDuration,
  formatPrice,
  parseDuration,
  parseMemory,
  showMemory,
  showNeed,
  slotParts,
} from "./quantity";

test("memory is read in MiB, decimal units rounded up as the server does", () => {
  assert.equal(parseMemory("10GB"), 9537);
  assert.equal(parseMemory("10GiB"), 10240);
  assert.equal(parseMemory("9984MiB"), 9984);
  for (const wrong of ["10", "-1GB", "GB", "10gb", "", null, undefined]) assert.equal(parseMemory(wrong), 0);
});

test("memory is shown in GiB, and what is not memory as it came", () => {
  assert.equal(showMemory("9984MiB"), "9.75 GiB");
  assert.equal(showMemory("512MiB"), "512 MiB");
  assert.equal(showMemory("what?"), "what?");
});

test("a need in whole decimal gigabytes is recognised, whole GiB are kept", () => {
  for (const gb of [1, 5, 10, 20, 40, 80, 200]) {
    const stored = `${Math.ceil((gb * 1e9) / 2 ** 20)}MiB`;
    assert.equal(showNeed(stored), `${gb} GB`);
  }
  assert.equal(showNeed("10240MiB"), "10 GiB");
  assert.equal(showNeed("9984MiB"), "9.75 GiB");
});

test("durations survive a round trip", () => {
  for (const text of ["45s", "1h 30m", "8h", "2d 4h", "30d"])
    assert.equal(formatDuration(parseDuration(text)), text);
  assert.ok(Number.isNaN(parseDuration("8")));
  assert.equal(formatDuration(86_400 + 59), "1d");
});

test("prices keep at least two and at most four decimals", () => {
  assert.equal(formatPrice("2.8"), "2.80");
  assert.equal(formatPrice("0.375"), "0.375");
  assert.equal(formatPrice("0.01254"), "0.0125");
  assert.equal(formatPrice("3"), "3.00");
  assert.equal(formatPrice(null), "");
});

test("a time of another day names the day", () => {
  const now = new Date(2026, 10, 22, 20, 0).getTime();
  assert.equal(clock(new Date(2026, 10, 22, 23, 5).getTime(), now), "23:05");
  assert.equal(clock(new Date(2026, 10, 23, 0, 50).getTime(), now), "Mon 00:50");
  assert.equal(clock(new Date(2026, 11, 24, 8, 0).getTime(), now), "24 Dec 08:00");
});

test("a tier's slots are told apart though slices come in all sizes", () => {
  const tier = (slots: number, fraction: number, free: number) => ({
    potential: { slots },
    used: { fraction },
    free: { slots: free },
  });
  assert.deepEqual(slotParts(tier(32, 0.75, 6)), { used: 24, free: 6, lost: 2 });
  assert.deepEqual(slotParts(tier(32, 0.9, 6)), { used: 26, free: 6, lost: 0 });
  assert.deepEqual(slotParts(tier(0, 0, 0)), { used: 0, free: 0, lost: 0 });
});
