import { memo } from "../ui/memo";
import type { Gpu } from "../api/types";
import { parseMemory, showMemory } from "../model/quantity";
import { type Segment, segmentsOf, unavailable } from "../model/segments";
import { markOf, store } from "../state";
import { cellId, cursor, firstGpu, highlighted, largestGib, selected } from "./fleetState";

/** What a screen reader says of a cell; the tooltip says the same. */
export function describe(gpu: Gpu, segment: Segment): string {
  const { slice } = segment;
  const off = unavailable(gpu);
  const where = `GPU ${gpu.metadata.name}${off ? `, ${off}` : ""}`;
  if (slice) {
    const holder = slice.team ? `team ${slice.team}, ` : "";
    return `${where}: ${slice.profile}, ${showMemory(slice.memory)}, ${holder}${slice.phase}`;
  }
  const gib = (segment.size * parseMemory(gpu.status.memory)) / 1024;
  const size = `${Number(gib.toFixed(1))} GiB`;
  return `${where}: ${size} ${segment.kind === "free" ? "free" : "stranded, no slice can be made here"}`;
}

function classOf(segment: Segment, index: number, gpu: string, width: number): string {
  const { slice, kind } = segment;
  const names = ["seg"];
  if (!slice) names.push(kind);
  else {
    names.push(`is-${slice.phase}`);
    if (slice.team) {
      const mark = markOf(slice.team);
      names.push(`t${mark.colour}`);
      if (mark.round > 0) names.push("second");
    }
  }
  if (segment.size * width < 0.1) names.push("narrow");
  const wanted = highlighted.value;
  if (wanted && slice?.team !== wanted) names.push("dim");
  const chosen = selected.value;
  if (
    chosen?.gpu === gpu &&
    (slice ? chosen.generation === slice.generation : chosen.generation === null && chosen.index === index)
  )
    names.push("chosen");
  return names.join(" ");
}

function Label({ segment, width }: { segment: Segment; width: number }) {
  const { slice } = segment;
  if (!slice) return null;
  // About the share of the widest axis at which the text still fits.
  const room = segment.size * width;
  return (
    <>
      {slice.team && <b>{markOf(slice.team).letters}</b>}
      {room > 0.11 && <span class={room > 0.24 ? "" : "if-wide"}>{slice.profile}</span>}
      {slice.phase === "failed" && <em>!</em>}
    </>
  );
}

/** One GPU: its memory axis to the scale of the fleet's largest. Redrawn when this GPU changes. */
export const GpuRow = memo(function GpuRow({ name }: { name: string }) {
  const gpu = store.kinds.Gpu.get(name);
  if (!gpu) return null;
  const width = parseMemory(gpu.status.memory) / 1024 / largestGib.value;
  const off = unavailable(gpu);
  const at = cursor.value;
  const first = at === null && firstGpu.value === name;
  const segments = segmentsOf(gpu);
  return (
    <div role="row" class="gpu-row">
      <span role="rowheader" class="gpu-number" aria-label={`GPU ${gpu.spec.number}${off ? `, ${off}` : ""}`}>
        {gpu.spec.number}
      </span>
      <div class="axis-space" role="presentation">
        <div
          class={`axis ${off ? `off off-${off}` : ""}`}
          role="presentation"
          style={{ width: `${width * 100}%` }}
        >
          {segments.map((segment, index) => (
            <div
              key={segment.slice ? `g${segment.slice.generation}` : `${segment.kind}${segment.start}`}
              id={cellId(name, index)}
              role="gridcell"
              data-gpu={name}
              data-index={index}
              tabIndex={(at?.gpu === name && at.index === index) || (first && index === 0) ? 0 : -1}
              aria-label={describe(gpu, segment)}
              class={classOf(segment, index, name, width)}
              style={{ left: `${segment.start * 100}%`, width: `${segment.size * 100}%` }}
            >
              <Label segment={segment} width={width} />
            </div>
          ))}
        </div>
      </div>
    </div>
  );
});
