// Believable life for the mock world: a full start, then requests that come and go.
const kNeeds = [
  { memory: "10GB", isolation: "partition", purpose: "embedding service" },
  { memory: "20GB", isolation: "partition", purpose: "batch inference" },
  { memory: "40GB", isolation: "partition", purpose: "llama-3-70b, tensor-parallel half" },
  { memory: "40GB", isolation: "partition", purpose: "reranker, production" },
  { memory: "5GB", isolation: "partition", purpose: "canary" },
  { memory: "4GiB", isolation: "limited", purpose: "notebook" },
  { memory: "8GiB", isolation: "limited", purpose: "ci: gpu tests" },
  { memory: "6GiB", isolation: "limited", purpose: "debugging session" },
  { memory: "80GB", isolation: "dedicated", purpose: "fine-tuning run" },
];
const kDurations = ["4h", "8h", "1d", "2d", "12h"];

/** A small deterministic generator: the same picture on every start. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function startLoad(world, seed = 7) {
  const random = generator(seed);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const teams = [...world.teams.keys()];
  const one = () => {
    const need = pick(kNeeds);
    if (need.isolation === "dedicated" && random() < 0.6) return;
    world.submit({ team: pick(teams), ...need, duration: pick(kDurations) });
  };
  const gpus = world.gpus();
  for (let i = 0; i < gpus.length * 3.4; i++) one();
  const cordoned = [...world.nodes.values()].at(-1);
  cordoned.status.cordoned = true;
  if (gpus.length > 12)
    Object.assign(gpus[11], { health: "quarantined", detail: "XID 94: contained memory error" });
  const first = setTimeout(() => {
    const active = [...world.leases.values()].filter((l) => l.status.state === "active");
    for (const lease of active) if (random() < 0.18) world.release(lease);
  }, world.delay * 3);
  const timer = setInterval(() => {
    if (random() < 0.6) one();
    const active = [...world.leases.values()].filter((l) => l.status.state === "active");
    if (active.length > 0 && random() < 0.6) world.release(pick(active));
  }, 2500);
  return () => {
    clearInterval(timer);
    clearTimeout(first);
  };
}
