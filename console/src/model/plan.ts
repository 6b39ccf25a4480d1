import type { Forecast, ForecastLine, Plan, PlannedGpu, PlannedSlice } from "../api/types";

/** A line of the what-if form. */
export interface Wish {
  what: string; // "2g.20gb" or "18GiB"
  count: string;
}

/** The lines that say something, as the API takes them; a profile is told by its "g.". */
export function demandOf(wishes: readonly Wish[]): { profile?: string; memory?: string; count: number }[] {
  return wishes
    .filter((wish) => wish.what.trim() !== "")
    .map((wish) => {
      const what = wish.what.trim();
      const count = Math.max(0, Math.trunc(Number(wish.count) || 0));
      return what.includes("g.") ? { profile: what, count } : { memory: what, count };
    });
}

const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;

/** What the plan achieves, and how good it is known to be. */
export function verdictOf(plan: Plan): { achieves: string; proof: string } {
  const { demand, servedBound, served, moved, movedBound, changedGpus, changedBound, proven, restarts, solveSeconds } =
    plan.status;
  const asked = demand.reduce((sum, line) => sum + line.count, 0);
  const given = demand.reduce((sum, line) => sum + line.served, 0);
  const achieves =
    asked === 0
      ? "Nothing was asked for."
      : `Serves ${given} of ${asked} asked for; moves ${plural(moved, "lease")} and changes ${plural(changedGpus, "GPU")}.` +
        (restarts.length > 0 ? ` There is no room to move ${restarts.length} of them: restarted.` : "");
  if (proven)
    return {
      achieves,
      proof: `Proven in ${solveSeconds.toFixed(2)} s: no plan serves more, and none that serves as much moves less or changes fewer GPUs. The gap is 0.`,
    };
  return {
    achieves,
    proof: `Not proven in ${solveSeconds.toFixed(1)} s: at most ${servedBound} can be served (gap ${servedBound - served}); a plan that serves as much moves at least ${movedBound} and changes at least ${changedBound} GPUs.`,
  };
}

/** A line of the forecast as a bar: parts of the longest one, in percent. */
export interface ExpectedBar {
  line: ForecastLine;
  held: number;
  waiting: number;
  expected: number; // where it ends
}

export function barsOf(forecast: Forecast): ExpectedBar[] {
  const longest = Math.max(1, ...forecast.lines.map((line) => Math.max(line.expected, line.held + line.waiting)));
  const percent = (count: number): number => Math.round((1000 * count) / longest) / 10;
  return forecast.lines.map((line) => ({
    line,
    held: percent(line.held),
    waiting: percent(line.waiting),
    expected: percent(line.expected),
  }));
}

/** "28 Nov 02:00 UTC": windows and forecasts are in the server's time. */
export function momentOf(instant: string): string {
  const [date = "", time = ""] = instant.split("T");
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  return `${Number(date.slice(8))} ${months[Number(date.slice(5, 7)) - 1] ?? ""} ${time.slice(0, 5)} UTC`;
}

/** Where a GPU of the plan is drawn, today at the left and tomorrow at the right. */
export const kPicture = { label: 104, bar: 300, between: 132, row: 26, gap: 26, head: 24 };

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
  slice: PlannedSlice;
}
export interface PictureRow {
  gpu: PlannedGpu;
  y: number;
  before: Box[];
  after: Box[];
}
export interface Arrow {
  lease: string;
  team: string | null;
  restarts: boolean; // its slice is given up first
  path: string;
  x: number; // where it begins
  y: number;
}
export interface Picture {
  width: number;
  height: number;
  rows: PictureRow[];
  arrows: Arrow[];
}

function boxes(gpu: PlannedGpu, slices: readonly PlannedSlice[], left: number, y: number): Box[] {
  const unit = kPicture.bar / Math.max(1, gpu.axis);
  return slices.map((slice) => ({
    x: left + slice.start * unit,
    y,
    width: slice.size * unit,
    height: kPicture.row,
    slice,
  }));
}

/** Only leases have a way; it begins where a lease is today and ends where it is tomorrow. */
export function pictureOf(plan: Plan): Picture {
  const right = kPicture.label + kPicture.bar + kPicture.between;
  const rows = plan.status.gpus.map((gpu, index) => {
    const y = kPicture.head + index * (kPicture.row + kPicture.gap);
    return {
      gpu,
      y,
      before: boxes(gpu, gpu.before, kPicture.label, y),
      after: boxes(gpu, gpu.after, right, y),
    };
  });
  const ways = [...plan.status.moves, ...plan.status.restarts];
  const arrows: Arrow[] = [];
  for (const row of rows)
    for (const from of row.before) {
      const { lease } = from.slice;
      if (!lease) continue;
      const to = rows.flatMap((other) => other.after).find((box) => box.slice.lease === lease);
      if (!to) continue;
      // It leaves and enters between the rows, so that it crosses no slice of its own GPU.
      const down = to.y >= from.y;
      const under = to.y > from.y;
      const x = from.x + from.width / 2;
      const y = down ? from.y + from.height : from.y;
      const end = { x: to.x + to.width / 2, y: under ? to.y : to.y + to.height };
      const bend = kPicture.gap * (to.y === from.y ? 0.9 : 1.2);
      arrows.push({
        lease,
        team: ways.find((way) => way.lease === lease)?.team ?? null,
        restarts: plan.status.restarts.some((way) => way.lease === lease),
        path: `M${x} ${y} C${x} ${y + (down ? bend : -bend)} ${end.x} ${end.y + (under ? -bend : bend)} ${end.x} ${end.y}`,
        x,
        y,
      });
    }
  return {
    width: right + kPicture.bar,
    height: kPicture.head + rows.length * (kPicture.row + kPicture.gap),
    rows,
    arrows,
  };
}
