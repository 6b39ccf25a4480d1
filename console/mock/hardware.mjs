// The few facts about GPUs that the mock needs. The real ones are in data/ and src/catalog.
const kMiB = { KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

export function parseMemory(text) {
  const match = /^(\d+(?:\.\d+)?)([KMGT]i?B)$/.exec(String(text ?? "0MiB"));
  if (!match) return undefined;
  return Math.ceil((Number(match[1]) * kMiB[match[2]]) / kMiB.MiB);
}

export function parseDuration(text) {
  if (!/^(\d+[dhms])+$/.test(text ?? "")) return undefined;
  const seconds = { d: 86400, h: 3600, m: 60, s: 1 };
  return [...text.matchAll(/(\d+)([dhms])/g)].reduce((sum, [, n, unit]) => sum + n * seconds[unit], 0);
}

export const kModels = {
  "H100-80GB-SXM5": {
    memory: 81152,
    memorySlices: 8,
    computeSlices: 7,
    sms: 132,
    profiles: [
      { name: "1g.10gb", size: 1, g: 1, memory: 9984, sms: 16, starts: [0, 1, 2, 3, 4, 5, 6] },
      { name: "1g.20gb", size: 2, g: 1, memory: 20096, sms: 26, starts: [0, 2, 4, 6] },
      { name: "2g.20gb", size: 2, g: 2, memory: 20096, sms: 32, starts: [0, 2, 4] },
      { name: "3g.40gb", size: 4, g: 3, memory: 40448, sms: 60, starts: [0, 4] },
      { name: "4g.40gb", size: 4, g: 4, memory: 40448, sms: 64, starts: [0] },
      { name: "7g.80gb", size: 8, g: 7, memory: 81152, sms: 132, starts: [0] },
    ],
  },
  "A100-40GB-SXM4": {
    memory: 40192,
    memorySlices: 8,
    computeSlices: 7,
    sms: 108,
    profiles: [
      { name: "1g.5gb", size: 1, g: 1, memory: 4864, sms: 14, starts: [0, 1, 2, 3, 4, 5, 6] },
      { name: "2g.10gb", size: 2, g: 2, memory: 9984, sms: 28, starts: [0, 2, 4] },
      { name: "3g.20gb", size: 4, g: 3, memory: 20096, sms: 42, starts: [0, 4] },
      { name: "4g.20gb", size: 4, g: 4, memory: 20096, sms: 56, starts: [0] },
      { name: "7g.40gb", size: 8, g: 7, memory: 40192, sms: 98, starts: [0] },
    ],
  },
  "L4-24GB": { memory: 23034, memorySlices: 0, computeSlices: 0, sms: 58, profiles: [] },
};

const used = (gpu) => gpu.slices.filter((s) => s.phase !== "idle");
const apart = (a, b) => a.start + a.size <= b.start || b.start + b.size <= a.start;

/** Where `profile` can be made on `gpu` beside what is held there; idle instances give way. */
export function migStarts(gpu, profile) {
  const taken = used(gpu);
  const compute = taken.reduce((sum, s) => sum + (s.g ?? 0), 0);
  if (compute + profile.g > kModels[gpu.model].computeSlices) return [];
  return profile.starts.filter((start) => taken.every((s) => apart(s, { start, size: profile.size })));
}

/** Memory spans where something could still be made, and the rest that is not held. */
export function freeSpans(gpu) {
  const model = kModels[gpu.model];
  if (gpu.technology === "whole") return { free: [], stranded: [] };
  if (gpu.technology === "time-slicing") {
    const end = used(gpu).reduce((most, s) => Math.max(most, s.start + s.size), 0);
    return { free: end < model.memory ? [{ start: end, size: model.memory - end }] : [], stranded: [] };
  }
  const axis = model.memorySlices || model.memory;
  if (model.profiles.length === 0) return { free: [{ start: 0, size: axis }], stranded: [] };
  const units = Array.from({ length: axis }, (_, at) => {
    if (used(gpu).some((s) => at >= s.start && at < s.start + s.size)) return "held";
    const reachable = model.profiles.some((p) => migStarts(gpu, p).some((s) => at >= s && at < s + p.size));
    return reachable ? "free" : "stranded";
  });
  const spans = { free: [], stranded: [] };
  units.forEach((kind, at) => {
    if (kind === "held") return;
    const last = spans[kind].at(-1);
    if (last && last.start + last.size === at) last.size++;
    else spans[kind].push({ start: at, size: 1 });
  });
  return spans;
}
