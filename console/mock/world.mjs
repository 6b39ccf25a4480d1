// The mock's state: a small fleet that lives. Objects have the shapes of docs/api.md.
import { freeSpans, kModels, parseDuration } from "./hardware.mjs";
import { findSpot, refuse } from "./placement.mjs";

const kVersion = "tessera.dev/v1alpha1";
const kHistory = 5000;

function document(kind, name, spec, status = {}) {
  return {
    apiVersion: kVersion,
    kind,
    metadata: { name, createdAt: new Date().toISOString() },
    spec,
    status,
  };
}

const kTiers = [
  [
    "production",
    {
      description: "Hardware partitions with guaranteed performance",
      isolation: "partition",
      technologies: ["mig", "whole"],
      slot: "40GB",
      pricePerHour: "2.80",
      defaultDuration: "8h",
      maxDuration: "30d",
      notice: "15m",
      teams: [],
    },
  ],
  [
    "staging",
    {
      description: "A hypervisor's or a hardware partition, for tests before production",
      isolation: "virtual",
      technologies: ["mig"],
      slot: "20GB",
      pricePerHour: "2.00",
      defaultDuration: "8h",
      maxDuration: "7d",
      notice: "15m",
      teams: [],
    },
  ],
  [
    "development",
    {
      description: "Guarded time-slicing: memory and compute limited in software",
      isolation: "limited",
      technologies: ["time-slicing"],
      oversubscription: 4,
      maxTenants: 8,
      slot: "20GB",
      pricePerHour: "1.20",
      defaultDuration: "8h",
      maxDuration: "3d",
      notice: "10m",
      teams: [],
    },
  ],
];
const kTeams = [
  "vision",
  "speech",
  "robotics",
  "search",
  "bio",
  "climate",
  "ranking",
  "safety",
  "infra",
  "research",
];

export class World {
  constructor({
    nodes = [
      ["h100", 4, 8],
      ["a100", 2, 8],
      ["l4", 2, 4],
    ],
    delay = 250,
  } = {}) {
    this.delay = delay;
    this.revision = 1;
    this.history = [];
    this.listeners = new Set();
    this.serial = { req: 0, lease: 0 };
    for (const map of ["tiers", "teams", "pools", "nodes", "gpuMap", "requests", "leases", "gpusByNode"])
      this[map] = new Map();
    for (const [name, spec] of kTiers) this.tiers.set(name, document("Tier", name, spec, { pools: [] }));
    for (const name of kTeams)
      this.teams.set(
        name,
        document("Team", name, {
          parent: "research-org",
          quotas: { h100: { guaranteed: 3, limit: 8, weight: 1 } },
        }),
      );
    for (const [pool, count, gpus] of nodes) this.addPool(pool, count, gpus);
  }

  addPool(name, nodes, gpus) {
    const kinds = {
      h100: ["H100-80GB-SXM5", ["production", "staging"], ["mig", "whole"]],
      a100: ["A100-40GB-SXM4", ["production", "staging"], ["mig", "whole"]],
      l4: ["L4-24GB", ["development"], ["time-slicing"]],
    };
    const [model, tiers, technologies] = kinds[name];
    this.pools.set(
      name,
      document(
        "Pool",
        name,
        { model, tiers, technologies, layout: { policy: "on-demand" } },
        { nodes, gpus: nodes * gpus, ready: nodes * gpus },
      ),
    );
    for (const tier of tiers) this.tiers.get(tier).status.pools.push(name);
    for (let i = 1; i <= nodes; i++) {
      const node = `${name}-${i}`;
      this.nodes.set(
        node,
        document(
          "Node",
          node,
          { pool: name, gpus, cpu: 96, memory: "1TiB" },
          { phase: "ready", cordoned: false, gpus, cpuUsed: "0", memoryUsed: "0MiB" },
        ),
      );
      const list = Array.from({ length: gpus }, (_, number) => ({
        name: `${node}/${number}`,
        node,
        pool: name,
        model,
        number,
        uuid: `GPU-${node}-${number}`.padEnd(40, "0"),
        health: "healthy",
        detail: "",
        technology: null,
        slices: [],
        generation: 0,
      }));
      this.gpusByNode.set(node, list);
      for (const gpu of list) this.gpuMap.set(gpu.name, gpu);
    }
  }

  gpus() {
    return [...this.gpuMap.values()];
  }
  stateOf(gpu) {
    const node = this.nodes.get(gpu.node);
    if (node.status.phase !== "ready" || gpu.health !== "healthy") return "away";
    return node.status.cordoned ? "cordoned" : "ready";
  }
  heldOn(gpu) {
    const axis =
      gpu.technology === "time-slicing"
        ? kModels[gpu.model].memory
        : kModels[gpu.model].memorySlices || kModels[gpu.model].memory;
    return gpu.slices.filter((s) => s.phase !== "idle").reduce((sum, s) => sum + s.size, 0) / axis;
  }
  priceOf(spot) {
    return spot.grants
      .reduce((sum, g) => sum + g.slice.share * Number(spot.tier.spec.pricePerHour), 0)
      .toFixed(2);
  }

  gpuObject(gpu) {
    const model = kModels[gpu.model];
    const object = document("Gpu", gpu.name, {
      node: gpu.node,
      pool: gpu.pool,
      model: gpu.model,
      number: gpu.number,
    });
    const slices = gpu.slices.map(({ g: _g, share: _share, request: _request, memory, ...slice }) => ({
      ...slice,
      memory: `${memory}MiB`,
    }));
    object.status = {
      uuid: gpu.uuid,
      health: gpu.health,
      detail: gpu.detail,
      state: this.stateOf(gpu),
      technology: gpu.technology,
      memory: `${model.memory}MiB`,
      memorySlices: model.memorySlices,
      computeSlices: model.computeSlices,
      slices,
      ...freeSpans(gpu),
    };
    return object;
  }
  teamObject(team) {
    const usage = {};
    for (const lease of this.leases.values()) {
      if (lease.spec.team !== team.metadata.name || lease.status.state === "ended") continue;
      const of = (usage[lease.status.pool] ??= { compute: 0, memory: 0 });
      of.compute += Number(lease.status.cost.compute);
      of.memory += Number(lease.status.cost.memory);
    }
    for (const one of Object.values(usage))
      for (const key of ["compute", "memory"]) one[key] = one[key].toFixed(3);
    const leases = [...this.leases.values()].filter(
      (l) => l.spec.team === team.metadata.name && l.status.state !== "ended",
    ).length;
    return { ...team, status: { usage, leases, requests: leases } };
  }
  list(kind) {
    if (kind === "gpus") return this.gpus().map((g) => this.gpuObject(g));
    if (kind === "teams") return [...this.teams.values()].map((t) => this.teamObject(t));
    if (kind === "plans") return []; // the pretended server computes none
    return [...this[kind].values()];
  }

  publish(type, object) {
    const event = { revision: ++this.revision, type, kind: object.kind, data: JSON.stringify(object) };
    this.history.push(event);
    if (this.history.length > kHistory) this.history.shift();
    for (const listener of this.listeners) listener(event);
  }
  touch(gpu) {
    if (gpu.slices.every((s) => s.phase === "idle") && gpu.technology !== "mig") gpu.technology = null;
    this.publish("MODIFIED", this.gpuObject(gpu));
  }
  later(run, times = 1) {
    setTimeout(run, this.delay * times).unref?.();
  }

  submit(need, { dryRun = false, by = "admin" } = {}) {
    const refused = refuse(this, need);
    if (refused) return refused;
    const spec = {
      purpose: "",
      memory: "0MiB",
      compute: 0,
      sms: 0,
      isolation: "shared",
      count: 1,
      duration: "8h",
      models: [],
      pool: "",
      tier: "",
      cpu: "0",
      hostMemory: "0MiB",
      ...need,
    };
    const request = document("Request", dryRun ? "req-0" : `req-${++this.serial.req}`, spec);
    request.metadata.team = need.team;
    request.metadata.createdBy = by;
    const spot = findSpot(this, need);
    request.status = {
      state: spot ? "provisioning" : "queued",
      tier: spot?.tier.metadata.name ?? null,
      lease: null,
      reason: spot ? null : "NoCapacity",
      message: spot ? "" : "every GPU that could hold it is full",
      position: 0,
      slices: [],
      pricePerHour: spot ? this.priceOf(spot) : null,
      expiresAt: null,
      hints: [],
    };
    if (dryRun) return request;
    this.requests.set(request.metadata.name, request);
    this.publish("ADDED", request);
    if (spot) this.grant(request, spot);
    else this.requeue();
    return request;
  }

  grant(request, { tier, grants }) {
    const name = `lease-${++this.serial.lease}`;
    const expiresAt = new Date(
      Date.now() + (parseDuration(request.spec.duration) ?? 28800) * 1000,
    ).toISOString();
    const lease = document("Lease", name, {
      team: request.spec.team,
      request: request.metadata.name,
      tier: tier.metadata.name,
    });
    const held = grants.map(({ gpu, slice }) => {
      gpu.technology = slice.technology;
      gpu.slices = gpu.slices.filter(
        (s) => s.phase !== "idle" || s.start + s.size <= slice.start || slice.start + slice.size <= s.start,
      );
      const made = {
        ...slice,
        generation: ++gpu.generation,
        phase: "preparing",
        lease: name,
        team: request.spec.team,
        tier: tier.metadata.name,
        device: "",
      };
      gpu.slices.push(made);
      return { gpu, made };
    });
    const view = () =>
      held.map(({ gpu, made }) => ({
        gpu: gpu.name,
        node: gpu.node,
        technology: made.technology,
        profile: made.profile,
        start: made.start,
        memory: `${made.memory}MiB`,
        sms: made.sms,
        device: made.device,
        phase: made.phase,
      }));
    const share = grants.reduce((sum, g) => sum + g.slice.share, 0).toFixed(3);
    lease.status = {
      state: "provisioning",
      pool: grants[0].gpu.pool,
      node: grants[0].gpu.node,
      slices: view(),
      cost: { compute: share, memory: share },
      grantedAt: new Date().toISOString(),
      activatedAt: null,
      expiresAt,
      endedAt: null,
      endReason: null,
      pricePerHour: this.priceOf({ tier, grants }),
    };
    Object.assign(request.status, {
      state: "provisioning",
      lease: name,
      tier: tier.metadata.name,
      reason: null,
      message: "",
      position: 0,
      slices: view(),
      expiresAt,
      pricePerHour: lease.status.pricePerHour,
    });
    this.leases.set(name, lease);
    Object.defineProperty(lease, "held", { value: held });
    Object.defineProperty(lease, "view", { value: view });
    held.forEach(({ gpu }) => this.touch(gpu));
    this.publish("MODIFIED", request);
    this.publish("ADDED", lease);
    this.later(() => this.activate(request, lease), 2);
  }
  activate(request, lease) {
    if (lease.status.state !== "provisioning") return;
    for (const { gpu, made } of lease.held) {
      made.phase = "in-use";
      made.device = `${made.technology === "mig" ? "MIG" : "GPU"}-${lease.metadata.name}-${made.generation}`;
      this.touch(gpu);
    }
    lease.status.state = request.status.state = "active";
    lease.status.activatedAt = new Date().toISOString();
    lease.status.slices = request.status.slices = lease.view();
    this.publish("MODIFIED", lease);
    this.publish("MODIFIED", request);
    this.publish("MODIFIED", this.teamObject(this.teams.get(lease.spec.team)));
  }
  release(lease, reason = "Released") {
    const request = this.requests.get(lease.spec.request);
    lease.status.state = request.status.state = "releasing";
    lease.status.endReason = reason;
    for (const { gpu, made } of lease.held) {
      made.phase = "scrubbing";
      this.touch(gpu);
    }
    this.publish("MODIFIED", lease);
    this.publish("MODIFIED", request);
    this.later(() => {
      for (const { gpu, made } of lease.held) {
        if (made.technology === "mig")
          Object.assign(made, { phase: "idle", lease: null, team: null, tier: null });
        else gpu.slices = gpu.slices.filter((s) => s !== made);
        this.touch(gpu);
      }
      lease.status.state = "ended";
      lease.status.endedAt = new Date().toISOString();
      Object.assign(request.status, { state: "released", reason, slices: [] });
      this.publish("MODIFIED", lease);
      this.publish("MODIFIED", request);
      this.publish("MODIFIED", this.teamObject(this.teams.get(lease.spec.team)));
      this.requeue();
    }, 6);
    return lease;
  }
  cancel(request) {
    Object.assign(request.status, { state: "cancelled", reason: "Cancelled", position: 0 });
    this.publish("MODIFIED", request);
    this.requeue();
    return request;
  }
  /** Grants what fits now, in order of arrival, and numbers the rest. */
  requeue() {
    let position = 0;
    for (const request of this.requests.values()) {
      if (request.status.state !== "queued") continue;
      const spot = findSpot(this, request.spec);
      if (spot) this.grant(request, spot);
      else if (request.status.position !== ++position) {
        request.status.position = position;
        this.publish("MODIFIED", request);
      }
    }
  }

  capacity() {
    const gpus = this.gpus();
    const h100 = gpus.filter((g) => g.pool === "h100").length;
    const a100 = gpus.filter((g) => g.pool === "a100").length;
    const l4 = gpus.filter((g) => g.pool === "l4").length;
    const usedBy = (tier) =>
      [...this.leases.values()].filter((l) => l.spec.tier === tier && l.status.state !== "ended").length;
    const row = (name, slot, slots, mix, note, pools) => {
      const used = Math.min(slots, usedBy(name));
      return {
        name,
        isolation: this.tiers.get(name).spec.isolation,
        slot,
        potential: { slots, mix, note },
        used: { slots: used, fraction: slots ? used / slots : 0 },
        free: { slots: slots - used },
        pools: pools.map((pool) => ({ pool, technology: pool === "l4" ? "time-slicing" : "mig" })),
      };
    };
    return {
      kind: "Capacity",
      tiers: [
        row(
          "production",
          "38147MiB",
          2 * h100,
          { "4g.40gb": h100, "3g.40gb": h100 },
          `${2 * h100} slots of 40 GB = ${h100} x 4g.40gb + ${h100} x 3g.40gb: only one 4g fits on a GPU, and 3g.40gb fills the rest (64 and 60 SMs)`,
          ["h100"],
        ),
        row(
          "staging",
          "19074MiB",
          3 * h100 + 2 * a100,
          { "2g.20gb": 3 * h100, "3g.20gb": a100, "4g.20gb": a100 },
          "the fourth 20 GB of an H100 has no compute slices left for a 2g",
          ["h100", "a100"],
        ),
        row(
          "development",
          "19074MiB",
          4 * l4,
          { "share-20GB": 4 * l4 },
          `${l4} GPUs, compute handed out four times; memory is never oversubscribed`,
          ["l4"],
        ),
      ],
      gpus: { declared: gpus.length, ready: gpus.filter((g) => this.stateOf(g) === "ready").length },
    };
  }
}
