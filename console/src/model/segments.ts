import type { Gpu, GpuSlice, Span } from "../api/types";
import { parseMemory } from "./quantity";

/** One visible piece of a GPU's memory axis. Pieces are disjoint, rising, and cover the axis. */
export interface Segment {
  kind: "slice" | "free" | "stranded";
  start: number; // as a fraction of the axis, 0 … 1
  size: number;
  slice?: GpuSlice;
}

/**
 * Length of the axis that starts and sizes are counted in: memory slices while the GPU is empty,
 * cut by MIG or given out whole; MiB where it is shared, and on models without MIG.
 */
export function axisOf(gpu: Gpu): number {
  const { axis, memory, memorySlices, slices } = gpu.status;
  const first = slices[0]?.technology;
  const whole = first === undefined || first === "mig" || first === "whole";
  const inSlices = memorySlices > 0 && (axis ? axis === "memory-slices" : whole);
  return inSlices ? memorySlices : parseMemory(memory) || 1;
}

interface Piece extends Span {
  kind: Segment["kind"];
  slice?: GpuSlice;
}

/** The parts of `span` not covered by `taken` (rising, disjoint). */
function remaining(span: Span, taken: readonly Span[]): Span[] {
  const parts: Span[] = [];
  let at = span.start;
  const end = span.start + span.size;
  for (const one of taken) {
    if (one.start + one.size <= at || one.start >= end) continue;
    if (one.start > at) parts.push({ start: at, size: one.start - at });
    at = Math.max(at, one.start + one.size);
  }
  if (at < end) parts.push({ start: at, size: end - at });
  return parts;
}

const rising = (a: Span, b: Span): number => a.start - b.start;

/** Objects are replaced, never changed, so what was computed for one stays true. */
const known = new WeakMap<Gpu, Segment[]>();

/**
 * Slices first, then what is free or stranded around them. What the server calls neither (the
 * compute is handed out although memory is left, say) cannot be allocated either: stranded.
 */
export function segmentsOf(gpu: Gpu): Segment[] {
  let segments = known.get(gpu);
  if (!segments) known.set(gpu, (segments = computeSegments(gpu)));
  return segments;
}

function computeSegments(gpu: Gpu): Segment[] {
  const axis = axisOf(gpu);
  const pieces: Piece[] = [];
  for (const slice of [...gpu.status.slices].sort(rising))
    pieces.push({ kind: "slice", start: slice.start, size: slice.size, slice });
  const fill = (kind: Segment["kind"], spans: readonly Span[]): void => {
    for (const span of spans)
      for (const part of remaining(span, [...pieces].sort(rising))) pieces.push({ kind, ...part });
  };
  fill("free", gpu.status.free);
  fill("stranded", gpu.status.stranded);
  fill("stranded", [{ start: 0, size: axis }]);
  return pieces.sort(rising).map(({ kind, start, size, slice }) => ({
    kind,
    start: start / axis,
    size: size / axis,
    ...(slice ? { slice } : {}),
  }));
}

/** Why nothing new can be placed on this GPU, in a word; empty where it can. */
export function unavailable(gpu: Gpu): string {
  const { health, state } = gpu.status;
  if (health !== "healthy") return "quarantined";
  return state === "ready" ? "" : state;
}

export const held = (slice: GpuSlice): boolean => slice.phase !== "idle";

/** GPUs' worth of memory by what happens to it. The parts add up to `total`. */
export interface Tally {
  total: number;
  held: number;
  idle: number;
  free: number;
  stranded: number;
  away: number;
}

export function tally(gpus: readonly Gpu[]): Tally {
  const sum: Tally = { total: gpus.length, held: 0, idle: 0, free: 0, stranded: 0, away: 0 };
  for (const gpu of gpus) {
    const away = unavailable(gpu) !== "";
    for (const segment of segmentsOf(gpu)) {
      if (segment.slice && held(segment.slice)) sum.held += segment.size;
      else if (away) sum.away += segment.size;
      else if (segment.slice) sum.idle += segment.size;
      else sum[segment.kind === "free" ? "free" : "stranded"] += segment.size;
    }
  }
  return sum;
}
