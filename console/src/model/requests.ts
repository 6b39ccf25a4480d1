import type { Need, Request, RequestState } from "../api/types";
import { parseMemory, showNeed } from "./quantity";

export type Group = "waiting" | "running" | "ended";

const kGroups: Record<RequestState, Group> = {
  "pending-approval": "waiting",
  approved: "waiting",
  queued: "waiting",
  provisioning: "running",
  active: "running",
  expiring: "running",
  releasing: "running",
  released: "ended",
  rejected: "ended",
  cancelled: "ended",
  failed: "ended",
};

export function groupOf(state: RequestState): Group {
  return kGroups[state] ?? "ended";
}

export const canCancel = (state: RequestState): boolean => groupOf(state) === "waiting";
export const canRelease = (state: RequestState): boolean =>
  state === "active" || state === "expiring" || state === "provisioning";
export const canRenew = (state: RequestState): boolean => state === "active" || state === "expiring";

/** The need in a few words, weakest promise left out: "2 × 10 GB · 25 % · partition". */
export function wantOf(need: Need): string {
  const parts: string[] = [];
  if (parseMemory(need.memory) > 0) parts.push(showNeed(need.memory));
  if (need.compute) parts.push(`${need.compute} %`);
  if (need.sms) parts.push(`${need.sms} SMs`);
  if (need.isolation === "dedicated") parts.push("whole GPU");
  else if (need.isolation && need.isolation !== "shared") parts.push(need.isolation);
  const what = parts.join(" · ") || "any GPU";
  return (need.count ?? 1) > 1 ? `${need.count} × ${what}` : what;
}

/** Reads "10 GB", "10gib", "10240 MiB"; a number alone is ambiguous and stays as it is. */
export function normaliseMemory(text: string): string {
  const match = /^\s*(\d+(?:[.,]\d+)?)\s*([kmgt]i?)?b?\s*$/i.exec(text);
  if (!match?.[1]) return text.trim();
  const unit = match[2] ?? "";
  if (unit === "") return match[1];
  return `${match[1].replace(",", ".")}${unit.charAt(0).toUpperCase()}${unit.length > 1 ? "i" : ""}B`;
}

/** Without what is empty or the default, as the API wants a document. */
export function compactNeed(need: Need): Need {
  const entries = Object.entries(need).filter(([key, value]) => {
    if (key === "team") return true;
    if (key === "count") return value !== 1;
    if (Array.isArray(value)) return value.length > 0;
    return value !== undefined && value !== "" && value !== 0 && value !== null;
  });
  return Object.fromEntries(entries) as unknown as Need;
}

/** The same request on the command line. */
export function commandOf(need: Need): string {
  const quote = (text: string): string =>
    /^[\w.,:@/-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`;
  const words = ["tessera", "request"];
  const add = (flag: string, value: string | number | undefined): void => {
    if (value !== undefined && value !== "" && value !== 0) words.push(`--${flag}`, quote(String(value)));
  };
  add("team", need.team);
  add("memory", need.memory);
  add("compute", need.compute);
  add("sms", need.sms);
  add("isolation", need.isolation);
  if ((need.count ?? 1) > 1) add("count", need.count);
  add("for", need.duration);
  add("tier", need.tier);
  add("pool", need.pool);
  for (const model of need.models ?? []) add("model", model);
  add("cpu", need.cpu);
  add("host-memory", need.hostMemory);
  if ((need.nodes ?? 1) > 1) add("nodes", need.nodes);
  if (need.nvlink === "required") add("nvlink", need.nvlink);
  add("purpose", need.purpose);
  return words.join(" ");
}

/** The life of a request as the steps a person cares for, and how far it came. */
export interface Step {
  label: string;
  done: "done" | "now" | "open" | "failed";
}

export function stepsOf(request: Request): Step[] {
  const state = request.status.state;
  const waiting = state === "approved" || state === "queued";
  const labels = ["Submitted", "Matched", "Approved", waiting ? "Queued" : "Placed", "Active", "Released"];
  const reached: Record<RequestState, number> = {
    "pending-approval": 2,
    approved: 3,
    queued: 3,
    provisioning: 3,
    active: 4,
    expiring: 4,
    releasing: 5,
    released: 6,
    rejected: 2,
    cancelled: 3,
    failed: 3,
  };
  const at = reached[state] ?? 0;
  const broken = state === "rejected" || state === "cancelled" || state === "failed";
  return labels.map((label, i) => ({
    label: i === at && broken ? state.charAt(0).toUpperCase() + state.slice(1) : label,
    done: i < at ? "done" : i === at ? (broken ? "failed" : "now") : "open",
  }));
}

/** Does `text` occur in what the table shows of this request? All words must. */
export function matches(request: Request, text: string): boolean {
  const { metadata, spec, status } = request;
  const hay = [metadata.name, spec.team, spec.purpose, wantOf(spec), status.tier, status.state, status.reason]
    .concat((status.slices ?? []).flatMap((s) => [s.gpu, s.profile]))
    .join(" ")
    .toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => hay.includes(word));
}

/** "req-12" after "req-7". */
export function byNumber(a: string, b: string): number {
  const number = (name: string): number => Number(/(\d+)$/.exec(name)?.[1] ?? 0);
  return number(a) - number(b) || a.localeCompare(b);
}
