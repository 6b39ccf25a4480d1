import { useEffect, useMemo } from "preact/hooks";
import { formatGpus } from "../model/quantity";
import type { PoolGroup } from "../model/fleet";
import { type Tally, segmentsOf, tally } from "../model/segments";
import { go, route } from "../navigation";
import { loaded, markOf, store } from "../state";
import { Icon } from "../ui/Icon";
import { Stack } from "../ui/parts";
import { describe } from "./GpuRow";
import { Inspector } from "./Inspector";
import { cardOf } from "./NodeCard";
import {
  compact,
  cursor,
  filter,
  focusCell,
  groups,
  highlighted,
  hovered,
  moveBy,
  select,
  selected,
} from "./fleetState";

function cellOf(target: EventTarget | null): { gpu: string; index: number } | null {
  const cell = target instanceof Element ? target.closest<HTMLElement>("[data-gpu]") : null;
  return cell?.dataset.gpu ? { gpu: cell.dataset.gpu, index: Number(cell.dataset.index) } : null;
}

function onKey(event: KeyboardEvent): void {
  const at = cellOf(event.target);
  if (at && (event.key === "Enter" || event.key === " ")) select(at.gpu, at.index);
  else if (!at || !moveBy(event.key)) return;
  event.preventDefault();
  event.stopPropagation();
}

const kParts: [keyof Omit<Tally, "total">, string, string][] = [
  ["held", "held", "By leases, being cleaned included"],
  ["idle", "idle", "Partitions that exist and are verified free"],
  ["free", "free", "Could be cut into slices at once"],
  ["stranded", "stranded", "Memory that no slice can use beside what is there"],
  ["away", "away", "On GPUs that are away, cordoned or quarantined"],
];

function Summary() {
  const version = store.kinds.Gpu.version.value;
  const sum = useMemo(() => tally(store.kinds.Gpu.all()), [version]);
  const text = kParts.map(([key, word]) => `${formatGpus(sum[key])} ${word}`).join(", ");
  return (
    <div class="summary">
      <p class="headline">
        <b>{sum.total}</b> GPUs
      </p>
      <div class="summary-bar">
        <Stack
          label={`Of ${sum.total} GPUs: ${text}`}
          parts={kParts.map(([key]) => ({ kind: key, share: sum.total ? sum[key] / sum.total : 0 }))}
        />
        <ul class="summary-legend">
          {kParts.map(([key, word, title]) => (
            <li key={key} title={title}>
              <i class={`swatch part-${key}`} aria-hidden="true" />
              <b>{formatGpus(sum[key])}</b> {word}
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

/** Teams that hold something, by how much; pressing one makes the others step back. */
function Teams() {
  const version = store.kinds.Gpu.version.value;
  const held = useMemo(() => {
    const sums = new Map<string, number>();
    for (const gpu of store.kinds.Gpu.all())
      for (const { slice, size } of segmentsOf(gpu))
        if (slice?.team) sums.set(slice.team, (sums.get(slice.team) ?? 0) + size);
    return [...sums].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  }, [version]);
  return (
    <ul class="teams" aria-label="Teams">
      {held.map(([team, size]) => {
        const mark = markOf(team);
        const on = highlighted.value === team;
        return (
          <li key={team}>
            <button
              class="team-toggle"
              aria-pressed={on}
              onClick={() => (highlighted.value = on ? "" : team)}
            >
              <i class={`tile t${mark.colour} ${mark.round > 0 ? "second" : ""}`} aria-hidden="true">
                {mark.letters}
              </i>
              {team} <small>{formatGpus(size)}</small>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function Key() {
  const kinds: [string, string][] = [
    ["is-preparing t8", "preparing"],
    ["is-in-use t8", "in use"],
    ["is-scrubbing t8", "scrubbing"],
    ["is-idle", "idle"],
    ["free", "free"],
    ["stranded", "not allocatable"],
  ];
  return (
    <ul class="key" aria-label="Key">
      {kinds.map(([kind, word]) => (
        <li key={word}>
          <i class={`seg sample ${kind}`} aria-hidden="true" />
          {word}
        </li>
      ))}
    </ul>
  );
}

function Tooltip() {
  const at = hovered.value;
  const gpu = at && store.kinds.Gpu.get(at.gpu);
  const segment = gpu && segmentsOf(gpu)[at.index];
  if (!at || !gpu || !segment) return null;
  const left = Math.min(at.x + 14, innerWidth - 270);
  const [where, what] = describe(gpu, segment).split(": ");
  return (
    <div class="tooltip" aria-hidden="true" style={{ left: `${left}px`, top: `${at.y + 18}px` }}>
      <b>{what}</b>
      <span>{where}</span>
      {segment.slice?.lease && <span>{segment.slice.lease}</span>}
    </div>
  );
}

function Pool({ group }: { group: PoolGroup }) {
  const { pool } = group;
  const facts = [
    pool?.spec.model ?? group.gpus[0]?.spec.model,
    `${group.nodes.length} ${group.nodes.length === 1 ? "node" : "nodes"}`,
    `${group.gpus.length} GPUs`,
    pool?.spec.tiers.join(", "),
  ];
  return (
    <section class="pool" aria-labelledby={`pool-${group.name}`}>
      <header>
        <h2 id={`pool-${group.name}`}>{group.name}</h2>
        <p>{facts.filter(Boolean).join(" · ")}</p>
      </header>
      <div class="nodes">{group.nodes.map(cardOf)}</div>
    </section>
  );
}

/** #/fleet/NODE/NUMBER opens that GPU. */
function useRoutedGpu(): void {
  const name = route.value.name;
  const ready = loaded.value;
  useEffect(() => {
    const [gpu, generation] = name.split("@");
    const object = gpu ? store.kinds.Gpu.get(gpu) : undefined;
    if (!gpu || !object || !ready) return;
    const index = segmentsOf(object).findIndex((s) => String(s.slice?.generation) === generation);
    select(gpu, Math.max(0, index));
    focusCell(gpu, Math.max(0, index));
  }, [name, ready]);
}

function close(): void {
  const at = cursor.value;
  selected.value = null;
  if (route.value.name) go("fleet");
  if (at) focusCell(at.gpu, at.index);
}

function emptyReason() {
  if (store.kinds.Gpu.size > 0) return "No GPU matches this filter.";
  if (store.kinds.Node.size > 0) return "No GPU has reported yet: the agents of the nodes bring them.";
  return (
    <>
      Nothing is declared yet. <code>tessera apply -f FILE</code> declares pools, nodes, tiers and teams.
    </>
  );
}

export function FleetView() {
  useRoutedGpu();
  useEffect(() => {
    const many = store.kinds.Gpu.size > 200;
    compact.value = many;
  }, []);
  const shown = groups.value;
  // Two at least: a single bar across a wide screen is harder to read, not easier.
  const columns = Math.max(2, ...shown.map((group) => group.nodes.length));
  return (
    <div
      class={`fleet ${compact.value ? "compact" : ""}`}
      onKeyDown={(event) => {
        if (event.key === "Escape" && selected.value) close();
        else onKey(event);
      }}
    >
      <div class="fleet-main">
        <h1 class="visually-hidden">Fleet</h1>
        <Summary />
        <div class="fleet-tools">
          <input
            data-filter
            type="search"
            placeholder="Filter by node, team, profile, lease…"
            aria-label="Filter the fleet"
            value={filter.value}
            onInput={(event) => (filter.value = event.currentTarget.value)}
          />
          <Teams />
        </div>
        <div
          class="pools"
          style={{ "--columns": String(columns) }}
          onClick={(event) => {
            const at = cellOf(event.target);
            if (at) select(at.gpu, at.index);
          }}
          onPointerMove={(event) => {
            const at = event.pointerType === "touch" ? null : cellOf(event.target);
            hovered.value = at && { ...at, x: event.clientX, y: event.clientY };
          }}
          onPointerLeave={() => (hovered.value = null)}
        >
          {shown.map((group) => (
            <Pool key={group.name} group={group} />
          ))}
          {shown.length === 0 && (
            <p class="empty">
              {emptyReason()}
            </p>
          )}
        </div>
        <footer class="fleet-foot">
          <Key />
          <button class="quiet" aria-pressed={compact.value} onClick={() => (compact.value = !compact.value)}>
            Compact rows
          </button>
          <a class="quiet" href="#/new">
            <Icon name="plus" /> New request
          </a>
        </footer>
      </div>
      {selected.value && <Inspector onClose={close} />}
      <Tooltip />
    </div>
  );
}
