import { useEffect, useRef, useState } from "preact/hooks";
import { ticksOf } from "../model/fleet";
import type { NodeGroup } from "../model/fleet";
import { store } from "../state";
import { memo } from "../ui/memo";
import { GpuRow } from "./GpuRow";
import { compact, cursor, largestGib } from "./fleetState";

/** One observer for all cards: a card far off the screen keeps its height and draws nothing. */
const listeners = new WeakMap<Element, (near: boolean) => void>();
const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) listeners.get(entry.target)?.(entry.isIntersecting);
  },
  { rootMargin: "600px 0px" },
);

function Ruler() {
  const largest = largestGib.value;
  const ticks = ticksOf(largest);
  return (
    <div class="ruler" aria-hidden="true">
      {ticks.map((tick, i) => (
        <i key={tick} style={{ left: `${(tick / largest) * 100}%` }}>
          {i === ticks.length - 1 ? `${tick} GiB` : tick}
        </i>
      ))}
    </div>
  );
}

export const NodeCard = memo(function NodeCard({ name, gpus }: { name: string; gpus: string }) {
  const place = useRef<HTMLElement>(null);
  const [near, setNear] = useState(false);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    listeners.set(element, setNear);
    observer.observe(element);
    return () => observer.unobserve(element);
  }, []);
  const names = gpus.split("\n");
  const node = store.kinds.Node.get(name);
  const trouble = node?.status.cordoned
    ? "cordoned"
    : node && node.status.phase !== "ready"
      ? node.status.phase
      : "";
  const drawn = near || names.includes(cursor.value?.gpu ?? "");
  const height = names.length * (compact.value ? 13 : 23);
  return (
    <section class="node" ref={place} aria-label={`Node ${name}`}>
      <header>
        <h3>{name}</h3>
        {trouble && <span class="badge">{trouble}</span>}
      </header>
      <Ruler />
      {drawn ? (
        <div role="grid" aria-label={`GPUs of ${name}`} class="rows">
          {names.map((gpu) => (
            <GpuRow key={gpu} name={gpu} />
          ))}
        </div>
      ) : (
        <div class="rows" style={{ height: `${height}px` }} />
      )}
    </section>
  );
});

export const cardOf = (group: NodeGroup) => (
  <NodeCard key={group.name} name={group.name} gpus={group.gpus.join("\n")} />
);
