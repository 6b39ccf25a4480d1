import { computed, signal } from "@preact/signals";
import type { Gpu, GpuSlice } from "../api/types";
import { type PoolGroup, gpuMatches, groupFleet } from "../model/fleet";
import { parseMemory } from "../model/quantity";
import { segmentsOf } from "../model/segments";
import { store } from "../state";

/** What the grid is about to show and where the keyboard stands in it. */

export const filter = signal("");
export const highlighted = signal("");
export const compact = signal(false);

/** A cell: the n-th segment of a GPU. */
export interface Cell {
  gpu: string;
  index: number;
}
export const cursor = signal<Cell | null>(null);
/** What the detail panel shows; a slice is followed by its generation, not by its place. */
export const selected = signal<{ gpu: string; generation: number | null; index: number } | null>(null);
export const hovered = signal<(Cell & { x: number; y: number }) | null>(null);

export const groups = computed<PoolGroup[]>(() => {
  const text = filter.value.trim();
  const gpus = store.kinds.Gpu.all();
  const shown = text ? gpus.filter((gpu) => gpuMatches(gpu, text)) : gpus;
  return groupFleet(shown, store.kinds.Node.all(), store.kinds.Pool.all());
});

/** GPUs in the order of the screen, for the arrow keys. */
export const order = computed(() => groups.value.flatMap((pool) => pool.nodes.flatMap((node) => node.gpus)));

export const firstGpu = computed(() => order.value[0] ?? "");

/** Length of the fleet's common axis in GiB: the largest GPU's memory, rounded up to fives. */
export const largestGib = computed(() => {
  const gib = store.kinds.Gpu.all().reduce(
    (most, gpu) => Math.max(most, parseMemory(gpu.status.memory) / 1024),
    1,
  );
  return Math.ceil(gib / 5) * 5;
});

export const cellId = (gpu: string, index: number): string => `cell:${gpu}:${index}`;

export function focusCell(gpu: string, index: number): void {
  cursor.value = { gpu, index };
  // The card may have to be drawn first.
  requestAnimationFrame(() => {
    const cell = document.getElementById(cellId(gpu, index));
    cell?.focus({ preventScroll: true });
    cell?.scrollIntoView({ block: "nearest" });
  });
}

export function select(gpu: string, index: number): void {
  const object = store.kinds.Gpu.get(gpu);
  const slice = object && segmentsOf(object)[index]?.slice;
  cursor.value = { gpu, index };
  selected.value = { gpu, generation: slice?.generation ?? null, index };
}

/** The selected slice as it is now; nothing once it is gone. */
export function selectedSlice(gpu: Gpu): GpuSlice | undefined {
  const generation = selected.value?.generation;
  return gpu.status.slices.find((slice) => slice.generation === generation);
}

/** The cell of `gpu` nearest to the same place on the memory axis. */
function sameColumn(from: Cell, to: string): number {
  const a = store.kinds.Gpu.get(from.gpu);
  const b = store.kinds.Gpu.get(to);
  if (!a || !b) return 0;
  const at = segmentsOf(a)[from.index]?.start ?? 0;
  const index = segmentsOf(b).findIndex((segment) => segment.start + segment.size > at + 1e-6);
  return Math.max(0, index);
}

/** Returns whether the key meant something here. */
export function moveBy(key: string): boolean {
  const at = cursor.value ?? { gpu: order.value[0] ?? "", index: 0 };
  const gpu = store.kinds.Gpu.get(at.gpu);
  const row = order.value.indexOf(at.gpu);
  if (!gpu || row < 0) return false;
  const last = segmentsOf(gpu).length - 1;
  const toRow = (target: number): void => {
    const name = order.value[Math.max(0, Math.min(order.value.length - 1, target))];
    if (name) focusCell(name, sameColumn(at, name));
  };
  const node = at.gpu.split("/")[0];
  switch (key) {
    case "ArrowLeft":
      focusCell(at.gpu, Math.max(0, at.index - 1));
      return true;
    case "ArrowRight":
      focusCell(at.gpu, Math.min(last, at.index + 1));
      return true;
    case "ArrowUp":
      toRow(row - 1);
      return true;
    case "ArrowDown":
      toRow(row + 1);
      return true;
    case "Home":
      focusCell(at.gpu, 0);
      return true;
    case "End":
      focusCell(at.gpu, last);
      return true;
    case "PageDown": {
      const next = order.value.findIndex((name, i) => i > row && name.split("/")[0] !== node);
      toRow(next < 0 ? order.value.length - 1 : next);
      return true;
    }
    case "PageUp": {
      let first = row;
      while (first > 0 && order.value[first - 1]?.split("/")[0] === node) first--;
      toRow(first === row ? row - 1 : first);
      return true;
    }
    default:
      return false;
  }
}
