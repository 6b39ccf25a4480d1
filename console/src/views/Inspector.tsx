import type { ComponentChildren } from "preact";
import type { Gpu, GpuSlice } from "../api/types";
import { formatPrice, showMemory } from "../model/quantity";
import { type Segment, segmentsOf, unavailable } from "../model/segments";
import { attempt } from "../navigation";
import { api, isOperator, store } from "../state";
import { Icon } from "../ui/Icon";
import { LeaseActions } from "../ui/LeaseActions";
import { Facts, Team, Until } from "../ui/parts";
import { describe } from "./GpuRow";
import { selected, selectedSlice } from "./fleetState";

function SliceFacts({ slice }: { slice: GpuSlice }) {
  const lease = slice.lease ? store.kinds.Lease.get(slice.lease) : undefined;
  const request = lease && store.kinds.Request.get(lease.spec.request);
  const rows: [string, ComponentChildren][] = [];
  if (slice.team) rows.push(["Team", <Team name={slice.team} />]);
  if (request?.spec.purpose) rows.push(["Purpose", request.spec.purpose]);
  rows.push(["Phase", slice.phase], ["Technology", slice.technology], ["Memory", showMemory(slice.memory)]);
  if (slice.sms) rows.push(["SMs", slice.sms]);
  if (slice.compute) rows.push(["Compute", `${slice.compute} %`]);
  if (slice.tier) rows.push(["Tier", slice.tier]);
  if (slice.lease) rows.push(["Lease", <code>{slice.lease}</code>]);
  if (lease) {
    rows.push(["Request", <a href={`#/requests/${lease.spec.request}`}>{lease.spec.request}</a>]);
    rows.push(["Expires", <Until at={lease.status.expiresAt} />]);
    if (lease.status.pricePerHour) rows.push(["Per hour", formatPrice(lease.status.pricePerHour)]);
  }
  if (slice.device) rows.push(["Device", <code class="device">{slice.device}</code>]);
  return (
    <>
      <Facts rows={rows} />
      {lease && <LeaseActions lease={lease} />}
    </>
  );
}

function Empty({ gpu, segment }: { gpu: Gpu; segment: Segment | undefined }) {
  if (!segment) return <p>This part has changed meanwhile.</p>;
  const text = describe(gpu, segment).split(": ")[1];
  return (
    <>
      <p>{text}.</p>
      {segment.kind === "stranded" && !segment.slice && (
        <p class="note">
          The memory is there, but the slices beside it leave no compute, or no legal place, for another one.
          It returns when a neighbour ends.
        </p>
      )}
    </>
  );
}

function GpuFacts({ gpu }: { gpu: Gpu }) {
  const { spec, status } = gpu;
  const node = store.kinds.Node.get(spec.node);
  const off = unavailable(gpu);
  const rows: [string, ComponentChildren][] = [
    ["Model", spec.model],
    ["State", off || "ready"],
    ["Divided by", status.technology ?? "nothing yet"],
    ["Memory", showMemory(status.memory)],
  ];
  if (status.detail) rows.push(["Detail", status.detail]);
  if (status.uuid) rows.push(["UUID", <code class="device">{status.uuid}</code>]);
  const cordoned = node?.status.cordoned ?? false;
  return (
    <>
      <h3>
        GPU {gpu.metadata.name} <small>{spec.pool}</small>
      </h3>
      <Facts rows={rows} />
      {isOperator() && (
        <div class="actions">
          {off === "quarantined" && (
            <button
              class="button"
              onClick={() =>
                void attempt(`${gpu.metadata.name} is back in service`, () =>
                  api().restoreGpu(gpu.metadata.name),
                )
              }
            >
              Restore
            </button>
          )}
          <button
            class="button"
            title={cordoned ? "Allow new slices here" : "No new slices here; running ones stay"}
            onClick={() =>
              void attempt(`${spec.node} is ${cordoned ? "open again" : "cordoned"}`, () =>
                api().nodeVerb(spec.node, cordoned ? "uncordon" : "cordon"),
              )
            }
          >
            {cordoned ? "Uncordon" : "Cordon"} {spec.node}
          </button>
        </div>
      )}
    </>
  );
}

export function Inspector({ onClose }: { onClose: () => void }) {
  const at = selected.value;
  const gpu = at && store.kinds.Gpu.get(at.gpu);
  if (!at || !gpu) return null;
  const slice = at.generation === null ? undefined : selectedSlice(gpu);
  const segment = at.generation === null ? segmentsOf(gpu)[at.index] : undefined;
  const gone = at.generation !== null && !slice;
  return (
    <aside class="panel" aria-label="Details">
      <header>
        <h2>
          {slice?.profile ?? (gone ? "Ended" : segment?.kind === "stranded" ? "Not allocatable" : "Free")}
        </h2>
        <button class="icon" onClick={onClose} aria-label="Close the details">
          <Icon name="close" />
        </button>
      </header>
      {slice ? (
        <SliceFacts slice={slice} />
      ) : gone ? (
        <p>This slice no longer exists.</p>
      ) : (
        <Empty gpu={gpu} segment={segment} />
      )}
      <GpuFacts gpu={gpu} />
    </aside>
  );
}
