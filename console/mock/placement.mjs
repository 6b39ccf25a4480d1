// Finds a place for a need in the mock's world, or says what is in the way. A sketch of what
// src/placement does; it exists so that the console can be worked on without the real server.
import { kModels, migStarts, parseMemory } from "./hardware.mjs";

const kRank = { shared: 0, limited: 1, virtual: 2, partition: 3, dedicated: 4 };

/** Problem bodies, as the real server words them. */
export function problem(status, reason, detail, field, hint) {
  return {
    problem: {
      type: `https://tessera.dev/problems/${reason}`,
      title: reason,
      status,
      reason,
      detail,
      field,
      hint,
    },
  };
}

function wants(need) {
  return {
    memory: parseMemory(need.memory),
    compute: need.compute ?? 0,
    isolation: need.isolation ?? "shared",
  };
}

/** Where one slice for `need` could go on `gpu`, in `tier`: null or a slice to be made. */
export function spotOn(world, gpu, need, tier) {
  const pool = world.pools.get(gpu.pool);
  const { memory, compute, isolation } = wants(need);
  const model = kModels[gpu.model];
  if (!pool.spec.tiers.includes(tier.metadata.name)) return null;
  const empty = gpu.slices.every((s) => s.phase === "idle");
  if (isolation === "dedicated") {
    if (!tier.spec.technologies.includes("whole") || !empty || memory > model.memory) return null;
    return {
      technology: "whole",
      profile: "whole",
      start: 0,
      size: model.memorySlices || model.memory,
      memory: model.memory,
      sms: model.sms,
      share: 1,
    };
  }
  if (tier.spec.technologies.includes("mig") && (empty || gpu.technology === "mig")) {
    for (const profile of model.profiles) {
      if (profile.memory < memory || (profile.sms / model.sms) * 100 < compute) continue;
      const start = migStarts(gpu, profile)[0];
      if (start === undefined) return null;
      return {
        technology: "mig",
        profile: profile.name,
        start,
        size: profile.size,
        memory: profile.memory,
        sms: profile.sms,
        g: profile.g,
        share: profile.size / 8,
      };
    }
    return null;
  }
  if (tier.spec.technologies.includes("time-slicing") && (empty || gpu.technology === "time-slicing")) {
    const size = memory || 4096;
    const end = gpu.slices.reduce((most, s) => Math.max(most, s.start + s.size), 0);
    const start = empty ? 0 : end;
    if (start + size > model.memory || gpu.slices.length >= 8) return null;
    const gib = size % 1024 === 0 ? `${size / 1024}GiB` : `${size}MiB`;
    return {
      technology: "time-slicing",
      profile: `share-${gib}`,
      start,
      size,
      memory: size,
      sms: 0,
      compute,
      share: size / model.memory / 4,
    };
  }
  return null;
}

/** Tiers that keep the promise `need` asks for, weakest first. */
export function tiersFor(world, need) {
  const least = kRank[need.isolation ?? "shared"];
  return [...world.tiers.values()]
    .filter((t) => (need.tier ? t.metadata.name === need.tier : true))
    .filter(
      (t) => least <= (least === 4 && t.spec.technologies.includes("whole") ? 4 : kRank[t.spec.isolation]),
    )
    .sort((a, b) => kRank[a.spec.isolation] - kRank[b.spec.isolation]);
}

/** A tight GPU first: the fullest that still has room, so that large pieces stay whole. */
export function findSpot(world, need) {
  for (const tier of tiersFor(world, need)) {
    for (const gpus of world.gpusByNode.values()) {
      const open = gpus.filter((g) => world.stateOf(g) === "ready" && (!need.pool || g.pool === need.pool));
      const order = open.sort((a, b) => world.heldOn(b) - world.heldOn(a));
      const found = order
        .map((gpu) => ({ gpu, slice: spotOn(world, gpu, need, tier) }))
        .filter((s) => s.slice);
      if (found.length >= (need.count ?? 1)) return { tier, grants: found.slice(0, need.count ?? 1) };
    }
  }
  return null;
}

/** Refuses what no GPU of the fleet could ever hold. */
export function refuse(world, need) {
  if (!world.teams.has(need.team))
    return problem(404, "UnknownObject", `there is no team "${need.team}"`, "spec.team");
  if (need.memory !== undefined && parseMemory(need.memory) === undefined)
    return problem(
      400,
      "InvalidQuantity",
      `"${need.memory}" is not an amount of memory`,
      "spec.memory",
      "write a unit, as in 10GB or 10GiB: they differ by 7 %",
    );
  const tiers = tiersFor(world, need);
  if (tiers.length === 0)
    return problem(422, "NoTier", `no tier promises ${need.isolation}`, "spec.isolation");
  const largest = Math.max(...world.gpus().map((g) => kModels[g.model].memory));
  if (wants(need).memory > largest)
    return problem(
      422,
      "NeverFits",
      `no GPU of this fleet has ${need.memory} of memory for one tenant; the largest has ${largest}MiB`,
      "spec.memory",
      "ask for several slices with count instead",
    );
  const anywhere = world.gpus().some((g) => tiers.some((t) => spotOn(world, { ...g, slices: [] }, need, t)));
  if (!anywhere)
    return problem(
      422,
      "NeverFits",
      "no pool of this fleet offers that much memory with that isolation",
      "spec.memory",
    );
  return null;
}

function hintsFor(need) {
  const memory = parseMemory(need.memory);
  return memory === 10240
    ? [
        "10GiB is 10240MiB and does not fit 1g.10gb (9984MiB); 10GB (9537MiB) would, at 0.35 instead of 0.70 per hour",
      ]
    : [];
}

function blockersOf(world, need) {
  return tiersFor(world, need).flatMap((tier) =>
    tier.metadata.name === "staging"
      ? []
      : [...world.pools.values()]
          .filter((p) => p.spec.tiers.includes(tier.metadata.name))
          .map((pool) => {
            const gpus = world.gpus().filter((g) => g.pool === pool.metadata.name);
            const away = gpus.filter((g) => world.stateOf(g) !== "ready").length;
            const scrubbing = gpus.filter((g) => g.slices.some((s) => s.phase === "scrubbing")).length;
            const full = gpus.filter((g) => world.stateOf(g) === "ready" && world.heldOn(g) > 0.8).length;
            const wrong = Math.max(0, gpus.length - away - full - scrubbing);
            const probe = { ...gpus[0], slices: [] };
            const profile = spotOn(world, probe, need, tier)?.profile ?? "whole";
            const reason = wrong > full ? "Fragmented" : "NoCapacity";
            return {
              pool: pool.metadata.name,
              technology: tier.spec.technologies[0],
              profile,
              reason,
              gpus: gpus.length,
              full,
              wrongLayout: wrong,
              scrubbing,
              away,
              host: 0,
              fitting: 0,
              detail:
                reason === "Fragmented"
                  ? `${wrong} GPUs have memory left, but not in one piece of ${profile}`
                  : `${full} of ${gpus.length} GPUs are full`,
            };
          }),
  );
}

function alternativesTo(world, need) {
  const found = [];
  const add = (kind, change, text) => {
    const spec = { ...need, ...change };
    const spot = !refuse(world, spec) && findSpot(world, spec);
    if (spot)
      found.push({
        kind,
        text: `fits now ${text}`,
        profile: spot.grants[0].slice.profile,
        spec,
        at: null,
        after: null,
      });
  };
  for (const smaller of ["40GB", "20GB", "10GB", "5GB"])
    if (found.length === 0 && parseMemory(smaller) < (parseMemory(need.memory) ?? 0))
      add(
        "smaller",
        { memory: smaller, isolation: need.isolation === "dedicated" ? "partition" : need.isolation },
        `with ${smaller.replace("GB", " GB")}`,
      );
  if (kRank[need.isolation] > 1) add("weaker", { isolation: "limited", tier: "" }, "with isolation limited");
  if ((need.count ?? 1) > 1) add("smaller", { count: 1 }, "with one slice instead of " + need.count);
  if (need.pool) add("other-pool", { pool: "" }, "in another pool");
  const next = [...world.leases.values()]
    .filter((l) => l.status.state === "active")
    .sort((a, b) => a.status.expiresAt.localeCompare(b.status.expiresAt))[0];
  if (next)
    found.push({
      kind: "later",
      text: `fits after ${next.metadata.name} ends`,
      profile: null,
      spec: null,
      at: next.status.expiresAt,
      after: next.metadata.name,
    });
  return found;
}

/** The answer of POST /v1/explain. */
export function explain(world, need, waiting) {
  const refused = refuse(world, need);
  if (refused) return refused;
  const spot = findSpot(world, need);
  const hints = hintsFor(need);
  const base = { kind: "Explanation", hints, position: waiting?.position ?? 0, eta: null };
  if (spot && !waiting) {
    const [{ gpu, slice }] = spot.grants;
    return {
      ...base,
      fitsNow: true,
      tier: spot.tier.metadata.name,
      reason: null,
      message: `fits now as ${slice.profile} on ${gpu.pool}`,
      spot: {
        tier: spot.tier.metadata.name,
        pool: gpu.pool,
        node: gpu.node,
        pricePerHour: world.priceOf(spot),
        slices: spot.grants.map((g) => ({
          gpu: g.gpu.name,
          technology: g.slice.technology,
          profile: g.slice.profile,
          start: g.slice.start,
          creates: true,
        })),
      },
      blockers: [],
      alternatives: [],
    };
  }
  const blockers = blockersOf(world, need);
  const alternatives = alternativesTo(world, need);
  return {
    ...base,
    fitsNow: false,
    tier: tiersFor(world, need)[0].metadata.name,
    reason: blockers[0]?.reason ?? "NoCapacity",
    message: blockers[0]?.detail ?? "every GPU that could hold it is full",
    spot: null,
    blockers,
    alternatives,
    eta: alternatives.find((a) => a.kind === "later")?.at ?? null,
  };
}
