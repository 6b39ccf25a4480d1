/** Quantities as the API writes them. The server is the judge of what is valid; this is for people. */

const kMiB = 1024 * 1024;
const kUnits: Record<string, number> = {
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: kMiB,
  GiB: 1024 * kMiB,
  TiB: 1024 * 1024 * kMiB,
};

/** "9984MiB", "80GiB", "10GB" -> MiB, rounded up as the server does; 0 where it is none of these. */
export function parseMemory(text: string | null | undefined): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B)\s*$/.exec(text ?? "");
  const unit = match?.[2] ? kUnits[match[2]] : undefined;
  if (!match?.[1] || unit === undefined) return 0;
  return Math.ceil((Number(match[1]) * unit) / kMiB);
}

/** 9984 -> "9.75 GiB"; 512 -> "512 MiB". */
export function formatMemory(mib: number): string {
  if (mib < 1024) return `${mib} MiB`;
  const gib = mib / 1024;
  return `${Number(gib.toFixed(gib < 100 ? 2 : 0))} GiB`;
}

/**
 * A need as it was most likely asked for: the server keeps 10 GB as 9537 MiB, so a whole number of
 * decimal gigabytes is shown as such.
 */
export function showNeed(text: string | null | undefined): string {
  const mib = parseMemory(text);
  const gb = Math.floor((mib * kMiB) / 1e9);
  const whole = gb > 0 && Math.ceil((gb * 1e9) / kMiB) === mib;
  return mib % 1024 !== 0 && whole ? `${gb} GB` : showMemory(text);
}

/**
 * A tier's slots, told apart for a bar. Slices are held in all sizes and slots counted in one, so
 * what is used is its part of the GPUs; what is neither used nor free is not reachable now.
 */
export function slotParts(tier: {
  potential: { slots: number };
  used: { fraction: number };
  free: { slots: number };
}): { used: number; free: number; lost: number } {
  const all = tier.potential.slots;
  const free = Math.min(all, tier.free.slots);
  const used = Math.min(all - free, tier.used.fraction * all);
  return { used, free, lost: all - free - used };
}

/** The server's text for people: "9984MiB" -> "9.75 GiB". Unknown text is shown as it is. */
export function showMemory(text: string | null | undefined): string {
  const mib = parseMemory(text);
  return mib > 0 ? formatMemory(mib) : (text ?? "");
}

/** A number of GPUs from a quota or a usage figure; NaN where it is not a number. */
export function parseAmount(value: string | number | null | undefined): number {
  if (typeof value === "number") return value;
  return value === null || value === undefined || value.trim() === "" ? Number.NaN : Number(value);
}

/** At most two decimals and none in vain: 3.5, 0.13, 4. */
export function formatGpus(value: number): string {
  return String(Number(value.toFixed(2)));
}

/** "2.8" -> "2.80", "0.375" as it is, at most four decimals. */
export function formatPrice(text: string | null | undefined): string {
  if (text === null || text === undefined || text === "") return "";
  const value = Number(text);
  if (!Number.isFinite(value)) return text;
  return value.toFixed(4).replace(/0{1,2}$/, "");
}

const kSeconds: Record<string, number> = { d: 86400, h: 3600, m: 60, s: 1 };

/** "8h", "1h30m", "2d" -> seconds; NaN where it is not a duration. */
export function parseDuration(text: string): number {
  const compact = text.replace(/\s+/g, "");
  if (!/^(\d+[dhms])+$/.test(compact)) return Number.NaN;
  let total = 0;
  for (const [, count, unit] of compact.matchAll(/(\d+)([dhms])/g))
    total += Number(count) * (kSeconds[unit ?? ""] ?? 0);
  return total;
}

/** The two largest units: "2d 4h", "8h", "1h 30m", "45s". */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  if (rest === 0) return "0s";
  const parts: string[] = [];
  for (const [unit, size] of Object.entries(kSeconds)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${unit}`);
    if (parts.length > 0 && (parts.length === 2 || count === 0)) break;
  }
  return parts.join(" ");
}

/** How long ago, or until when, in the largest unit that says something: "3m", "2h 10m". */
export function between(fromMs: number, toMs: number): string {
  return formatDuration(Math.abs(toMs - fromMs) / 1000);
}

export function instant(text: string | null | undefined): number {
  return text ? Date.parse(text) : Number.NaN;
}

/** Local wall-clock time; with the day where it is not today. */
export function clock(ms: number, now: number): string {
  const date = new Date(ms);
  const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === new Date(now).toDateString()) return time;
  const near = Math.abs(ms - now) < 6 * 86400_000;
  const day = date.toLocaleDateString(
    "en-GB",
    near ? { weekday: "short" } : { day: "numeric", month: "short" },
  );
  return `${day} ${time}`;
}
