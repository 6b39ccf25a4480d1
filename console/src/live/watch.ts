import type { Client } from "../api/client";
import { SseParser } from "./sse";

/**
 *   connecting -> live (first bytes) -> waiting (stream ended or fell silent) -> connecting …
 *                                    -> stale (410: revision gone; the owner lists again)
 */
export type LinkState = "connecting" | "live" | "waiting";

export interface WatchHandlers {
  change(type: "ADDED" | "MODIFIED" | "DELETED", object: unknown): void;
  link(state: LinkState): void;
}

/** The server sends a bookmark at least every 15 s; two missed ones mean a dead connection. */
const kSilenceMs = 40_000;
const kFirstBackoffMs = 400;
const kLastBackoffMs = 10_000;

export type WatchEnd = "stale" | "stopped" | "unauthenticated";

/** Grows from 0.4 s to 10 s; the jitter keeps a hundred consoles from returning at once. */
export function backoff(attempt: number, random = Math.random()): number {
  const base = Math.min(kLastBackoffMs, kFirstBackoffMs * 2 ** Math.min(attempt, 10));
  return Math.round(base * (0.75 + random / 2));
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}

/** Reads one stream until it ends. Returns the HTTP status, 0 where there was none. */
async function readOnce(
  client: Client,
  path: string,
  stop: AbortSignal,
  onEvent: (event: string, id: string, data: string) => void,
  onOpen: () => void,
): Promise<number> {
  const abort = new AbortController();
  const relay = (): void => abort.abort();
  stop.addEventListener("abort", relay);
  let silence = setTimeout(relay, kSilenceMs);
  let status = 0;
  try {
    const headers = { ...client.headers(), Accept: "text/event-stream" };
    const response = await fetch(client.url(path), { headers, signal: abort.signal, cache: "no-store" });
    status = response.status;
    if (!response.ok || !response.body) return status;
    onOpen();
    const parser = new SseParser((e) => onEvent(e.event, e.id, e.data));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return status;
      clearTimeout(silence);
      silence = setTimeout(relay, kSilenceMs);
      parser.feed(value);
    }
  } catch {
    return status;
  } finally {
    clearTimeout(silence);
    stop.removeEventListener("abort", relay);
    abort.abort();
  }
}

/** Watches from `since` until stopped, reconnecting from the last revision seen. */
export async function watch(
  client: Client,
  kinds: readonly string[],
  since: number,
  handlers: WatchHandlers,
  stop: AbortSignal,
): Promise<WatchEnd> {
  let revision = since;
  let attempt = 0;
  while (!stop.aborted) {
    handlers.link("connecting");
    const status = await readOnce(
      client,
      `/v1/watch?since=${revision}&kinds=${kinds.join(",")}`,
      stop,
      (event, id, data) => {
        attempt = 0;
        if (event === "ADDED" || event === "MODIFIED" || event === "DELETED")
          handlers.change(event, JSON.parse(data));
        const seen = Number(id);
        if (id !== "" && Number.isSafeInteger(seen)) revision = Math.max(revision, seen);
      },
      () => handlers.link("live"),
    );
    if (stop.aborted) break;
    if (status === 410) return "stale";
    if (status === 401) return "unauthenticated";
    handlers.link("waiting");
    await sleep(backoff(attempt++), stop);
  }
  return "stopped";
}
