import { type Signal, signal } from "@preact/signals";
import type { AnyObject, KindName, Kinds } from "../api/types";

/**
 * The live objects of one kind, by name. `version` grows at most once a frame when anything
 * changed; each object has a signal of its own, so that a grid of a thousand GPUs redraws only the
 * one that changed.
 */
export class Collection<T extends { metadata: { name: string } }> {
  readonly version = signal(0);
  private readonly objects = new Map<string, Signal<T>>();

  constructor(private readonly schedule: (collection: Collection<T>) => void) {}

  get size(): number {
    return this.objects.size;
  }
  /** Subscribes to the collection as a whole. */
  all(): T[] {
    this.version.value;
    return [...this.objects.values()].map((s) => s.peek());
  }
  /** Subscribes to one object, where it exists. */
  get(name: string): T | undefined {
    const found = this.objects.get(name);
    if (found) return found.value;
    this.version.value;
    return undefined;
  }
  put(object: T): void {
    const known = this.objects.get(object.metadata.name);
    if (known) known.value = object;
    else this.objects.set(object.metadata.name, signal(object));
    this.schedule(this);
  }
  remove(name: string): void {
    if (this.objects.delete(name)) this.schedule(this);
  }
  /** Everything that is not in `items` is gone. */
  replace(items: T[]): void {
    const names = new Set(items.map((item) => item.metadata.name));
    for (const name of [...this.objects.keys()]) if (!names.has(name)) this.objects.delete(name);
    for (const item of items) this.put(item);
    this.schedule(this);
  }
}

export const kKinds: readonly KindName[] = ["Gpu", "Request", "Lease", "Tier", "Team", "Pool", "Node", "Plan"];
export const kPaths: Record<KindName, string> = {
  Gpu: "/v1/gpus",
  Request: "/v1/requests",
  Lease: "/v1/leases",
  Tier: "/v1/tiers",
  Team: "/v1/teams",
  Pool: "/v1/pools",
  Node: "/v1/nodes",
  Plan: "/v1/plans",
};

type Collections = { [K in KindName]: Collection<Kinds[K]> };

/** All live objects. Changes are collected and announced once a frame. */
export class Store {
  private readonly dirty = new Set<{ version: Signal<number> }>();
  private scheduled = false;
  readonly kinds: Collections;

  constructor(private readonly nextFrame: (run: () => void) => void) {
    const make = <K extends KindName>(): Collection<Kinds[K]> => new Collection((c) => this.mark(c));
    this.kinds = {
      Gpu: make<"Gpu">(),
      Request: make<"Request">(),
      Lease: make<"Lease">(),
      Tier: make<"Tier">(),
      Team: make<"Team">(),
      Pool: make<"Pool">(),
      Node: make<"Node">(),
      Plan: make<"Plan">(),
    };
  }

  private of(kind: KindName): Collection<AnyObject> {
    return this.kinds[kind] as unknown as Collection<AnyObject>;
  }
  replace(kind: KindName, items: AnyObject[]): void {
    this.of(kind).replace(items);
  }
  /** Unknown kinds are ignored: a newer server may send what this console does not show. */
  change(type: "ADDED" | "MODIFIED" | "DELETED", object: unknown): void {
    const candidate = object as Partial<AnyObject> | null;
    const kind = candidate?.kind;
    const name = candidate?.metadata?.name;
    if (!kind || !name || !(kind in this.kinds)) return;
    if (type === "DELETED") this.of(kind).remove(name);
    else this.of(kind).put(candidate as AnyObject);
  }

  private mark(collection: { version: Signal<number> }): void {
    this.dirty.add(collection);
    if (this.scheduled) return;
    this.scheduled = true;
    this.nextFrame(() => {
      this.scheduled = false;
      const changed = [...this.dirty];
      this.dirty.clear();
      for (const one of changed) one.version.value++;
    });
  }
}
