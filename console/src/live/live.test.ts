import assert from "node:assert/strict";
import test from "node:test";
import { Client } from "../api/client";
import { type SseEvent, SseParser } from "./sse";
import { Store } from "./store";
import { backoff, watch } from "./watch";

test("events are the same however the stream is cut", () => {
  const text =
    ': hello\r\nevent: ADDED\r\nid: 7\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: BOOKMARK\nid: 8\ndata: {}\n\ndata:x\n\n';
  const read = (pieces: string[]): SseEvent[] => {
    const events: SseEvent[] = [];
    const parser = new SseParser((event) => events.push(event));
    for (const piece of pieces) parser.feed(piece);
    return events;
  };
  const whole = read([text]);
  assert.deepEqual(
    whole.map((e) => [e.event, e.id, e.data]),
    [
      ["ADDED", "7", '{"a":\n1}'],
      ["BOOKMARK", "8", "{}"],
      ["message", "8", "x"],
    ],
  );
  for (let size = 1; size < text.length; size++) {
    const pieces: string[] = [];
    for (let at = 0; at < text.length; at += size) pieces.push(text.slice(at, at + size));
    assert.deepEqual(read(pieces), whole, `in pieces of ${size}`);
  }
});

test("waiting grows, stays bounded, and varies", () => {
  assert.equal(backoff(0, 0.5), 400);
  assert.ok(backoff(50, 1) <= 12_500);
  assert.notEqual(backoff(3, 0), backoff(3, 1));
});

/** Answers each watch with the next of `answers`: a status, or the text of a stream that then ends. */
async function watched(
  answers: (number | string)[],
): Promise<{ asked: string[]; changes: string[]; end: string }> {
  const asked: string[] = [];
  const changes: string[] = [];
  const original = globalThis.fetch;
  const stop = new AbortController();
  globalThis.fetch = async (url) => {
    asked.push(String(url));
    const next = answers.shift();
    if (next === undefined) {
      stop.abort();
      throw new Error("no more");
    }
    return typeof next === "number" ? new Response("", { status: next }) : new Response(next);
  };
  try {
    const handlers = {
      change: (type: string, object: unknown) => changes.push(`${type} ${JSON.stringify(object)}`),
      link: () => {},
    };
    const end = await watch(new Client("t", () => {}, "http://x"), ["Gpu"], 5, handlers, stop.signal);
    return { asked, changes, end };
  } finally {
    globalThis.fetch = original;
  }
}

test("a watch that breaks goes on from the last revision, bookmarks included", async () => {
  const first = 'event: ADDED\nid: 6\ndata: {"n":1}\n\nevent: BOOKMARK\nid: 9\ndata: {}\n\n';
  const { asked, changes, end } = await watched([first, 410]);
  assert.deepEqual(
    asked.map((url) => new URL(url).searchParams.get("since")),
    ["5", "9"],
  );
  assert.deepEqual(changes, ['ADDED {"n":1}']);
  assert.equal(end, "stale");
});

test("a server that is away is asked again, a refused token is not", async () => {
  const { asked, end } = await watched([503, 401]);
  assert.equal(asked.length, 2);
  assert.equal(end, "unauthenticated");
});

test("the store announces many changes once, and each object by itself", () => {
  const frames: (() => void)[] = [];
  const store = new Store((run) => frames.push(run));
  const tier = (name: string, note: string) => ({
    kind: "Tier",
    metadata: { name },
    spec: { description: note },
    status: {},
  });
  store.change("ADDED", tier("a", "1"));
  store.change("ADDED", tier("b", "1"));
  store.change("MODIFIED", tier("a", "2"));
  store.change("ADDED", { kind: "Comet", metadata: { name: "x" } });
  store.change("ADDED", null);
  assert.equal(frames.length, 1);
  assert.equal(store.kinds.Tier.version.value, 0);
  frames.pop()?.();
  assert.equal(store.kinds.Tier.version.value, 1);
  assert.equal(store.kinds.Tier.get("a")?.spec.description, "2");
  store.change("DELETED", tier("a", ""));
  assert.equal(store.kinds.Tier.get("a"), undefined);
  store.replace("Tier", []);
  assert.equal(store.kinds.Tier.size, 0);
});
