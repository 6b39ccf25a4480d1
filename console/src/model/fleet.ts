import type { Gpu, Node, Pool } from "../api/types";

/** The fleet as the grid shows it: pools, their nodes, the nodes' GPUs by number. */
export interface NodeGroup {
  name: string;
  node: Node | undefined;
  gpus: string[];
}
export interface PoolGroup {
  name: string;
  pool: Pool | undefined;
  nodes: NodeGroup[];
  gpus: Gpu[];
}

const natural = new Intl.Collator("en", { numeric: true });

export function groupFleet(
  gpus: readonly Gpu[],
  nodes: readonly Node[],
  pools: readonly Pool[],
): PoolGroup[] {
  const nodeOf = new Map(nodes.map((node) => [node.metadata.name, node]));
  const poolOf = new Map(pools.map((pool) => [pool.metadata.name, pool]));
  const groups = new Map<string, PoolGroup>();
  const rows = new Map<string, NodeGroup>();
  for (const gpu of [...gpus].sort((a, b) => a.spec.number - b.spec.number)) {
    const { pool, node } = gpu.spec;
    let group = groups.get(pool);
    if (!group) groups.set(pool, (group = { name: pool, pool: poolOf.get(pool), nodes: [], gpus: [] }));
    group.gpus.push(gpu);
    let row = rows.get(node);
    if (!row) {
      rows.set(node, (row = { name: node, node: nodeOf.get(node), gpus: [] }));
      group.nodes.push(row);
    }
    row.gpus.push(gpu.metadata.name);
  }
  for (const group of groups.values()) group.nodes.sort((a, b) => natural.compare(a.name, b.name));
  return [...groups.values()].sort((a, b) => natural.compare(a.name, b.name));
}

/** Does every word of `text` occur in what the grid tells of this GPU? */
export function gpuMatches(gpu: Gpu, text: string): boolean {
  const { node, pool, model } = gpu.spec;
  const { state, health, slices } = gpu.status;
  const hay = [gpu.metadata.name, node, pool, model, state, health]
    .concat(slices.flatMap((s) => [s.profile, s.team ?? "", s.lease ?? "", s.tier ?? "", s.phase]))
    .join(" ")
    .toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => hay.includes(word));
}

/** Marks of the memory axis: [0, 20, 40, 60, 80]. */
export function ticksOf(gib: number): number[] {
  const step = gib > 200 ? 50 : gib > 48 ? 20 : gib > 24 ? 10 : 5;
  const ticks: number[] = [];
  for (let at = 0; at <= gib; at += step) ticks.push(at);
  return ticks;
}
