import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Request } from "../api/types";
import { groupOf } from "../model/requests";
import { api } from "../state";

/** ETAs are part of explanations: asked for the waiting rows on the screen, a few at a time. */
const kFreshMs = 20_000;
const kAtOnce = 24;

const etas = signal(new Map<string, { eta: string | null; askedAt: number }>());

export function etaOf(request: string): string | null {
  return etas.value.get(request)?.eta ?? null;
}
export function noteEta(request: string, eta: string | null): void {
  etas.value = new Map(etas.value).set(request, { eta, askedAt: Date.now() });
}

async function ask(names: string[]): Promise<void> {
  for (const name of names) {
    try {
      noteEta(name, (await api().explain(name)).eta ?? null);
    } catch {
      noteEta(name, null);
    }
  }
}

export function useEtas(rows: readonly Request[]): void {
  const waiting = rows.filter((row) => groupOf(row.status.state) === "waiting").slice(0, kAtOnce);
  const key = waiting.map((row) => row.metadata.name).join(",");
  useEffect(() => {
    const names = key.split(",").filter(Boolean);
    const refresh = (): void => {
      const stale = names.filter((n) => Date.now() - (etas.peek().get(n)?.askedAt ?? 0) > kFreshMs);
      void ask(stale);
    };
    refresh();
    const timer = setInterval(refresh, kFreshMs);
    return () => clearInterval(timer);
  }, [key]);
}
