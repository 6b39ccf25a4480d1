/** The objects of the API, as docs/api.md describes them. Only the fields the console reads. */

export interface Meta {
  name: string;
  team?: string;
  createdAt?: string;
  createdBy?: string;
}

interface Base<K extends string, Spec, Status> {
  apiVersion?: string;
  kind: K;
  metadata: Meta;
  spec: Spec;
  status: Status;
}

export type Technology = "time-slicing" | "vgpu" | "mig" | "whole";
export type Isolation = "shared" | "limited" | "virtual" | "partition" | "dedicated";
export type Phase = "idle" | "preparing" | "in-use" | "scrubbing" | "failed";

export interface Span {
  start: number;
  size: number;
}

/** One slice on a GPU. Start and size are memory slices for MIG, MiB for a shared GPU. */
export interface GpuSlice extends Span {
  generation: number;
  phase: Phase;
  technology: Technology;
  profile: string;
  memory: string;
  sms?: number;
  compute?: number;
  lease?: string | null;
  team?: string | null;
  tier?: string | null;
  device?: string | null;
}

export type Gpu = Base<
  "Gpu",
  { node: string; pool: string; model: string; number: number },
  {
    uuid?: string | null;
    health: string;
    detail?: string | null;
    state: "ready" | "away" | "cordoned" | "changing";
    technology?: Technology | null;
    memory: string;
    memorySlices: number;
    computeSlices: number;
    axis?: "memory-slices" | "MiB";
    slices: GpuSlice[];
    free: Span[];
    stranded: Span[];
  }
>;

/** What a team asks for. Every field but `team` may be absent in a document we send. */
export interface Need {
  team: string;
  purpose?: string;
  memory?: string;
  compute?: number;
  sms?: number;
  isolation?: Isolation;
  count?: number;
  duration?: string;
  models?: string[];
  pool?: string;
  tier?: string;
  cpu?: string;
  hostMemory?: string;
  nodes?: number;
  nvlink?: "preferred" | "required";
}

export type RequestState =
  | "pending-approval"
  | "approved"
  | "queued"
  | "provisioning"
  | "active"
  | "expiring"
  | "releasing"
  | "released"
  | "rejected"
  | "cancelled"
  | "failed";

export interface HeldSlice {
  gpu: string;
  node?: string;
  technology: Technology;
  profile: string;
  start: number | null; // none where the hardware has no places: shares, vGPUs
  memory?: string;
  sms?: number;
  device?: string | null;
  phase?: Phase;
}

export type Request = Base<
  "Request",
  Need,
  {
    state: RequestState;
    tier?: string | null;
    lease?: string | null;
    reason?: string | null;
    message?: string | null;
    position?: number | null;
    eta?: string | null;
    slices?: HeldSlice[];
    pricePerHour?: string | null;
    expiresAt?: string | null;
    hints?: string[];
  }
>;

export type Lease = Base<
  "Lease",
  { team: string; request: string; tier: string },
  {
    state: string;
    pool: string;
    node: string;
    slices: HeldSlice[];
    cost?: { compute: string | number; memory: string | number };
    grantedAt?: string | null;
    activatedAt?: string | null;
    expiresAt?: string | null;
    endedAt?: string | null;
    endReason?: string | null;
    pricePerHour?: string | null;
  }
>;

export type Tier = Base<
  "Tier",
  {
    description?: string;
    isolation: Isolation;
    technologies: Technology[];
    oversubscription?: number;
    maxTenants?: number;
    slot?: string;
    pricePerHour?: string;
    defaultDuration?: string;
    maxDuration?: string;
    notice?: string;
    autoApprove?: { share: string | number; duration: string } | null;
    teams?: string[];
  },
  { pools?: string[] }
>;

/** A number of GPUs ("3.5") or its two dimensions. */
export type Amount = string | number | { compute: string | number; memory: string | number };

export type Team = Base<
  "Team",
  {
    parent?: string;
    description?: string;
    quotas?: Record<string, { guaranteed?: Amount; limit?: Amount | null; weight?: number }>;
    maxWaiting?: number;
  },
  {
    usage?: Record<string, { compute: string | number; memory: string | number }>;
    requests?: number;
    leases?: number;
  }
>;

export type Pool = Base<
  "Pool",
  {
    model: string;
    tiers: string[];
    technologies?: Technology[];
    layout?: { policy: string; instances?: string[] };
  },
  { nodes?: number; gpus?: number; ready?: number }
>;

export type Node = Base<
  "Node",
  { pool: string; gpus: number; cpu?: string | number; memory?: string; count?: number },
  { phase: string; cordoned: boolean; gpus?: number; cpuUsed?: string | number; memoryUsed?: string }
>;

export interface PlannedSlice extends Span {
  profile: string;
  use: "leased" | "planned" | "free";
  lease?: string; // where the plan moves it
  request?: string; // that gets this place
}
export interface PlannedGpu {
  gpu: string;
  pool: string;
  model: string;
  axis: number;
  changing: boolean;
  before: PlannedSlice[];
  after: PlannedSlice[];
}
export interface PlannedPlace {
  gpu: string | null;
  profile: string | null;
  start: number | null;
}

export interface PlannedWay {
  lease: string;
  team: string | null;
  from: PlannedPlace;
  to: PlannedPlace;
  state: string;
}

/** One tier and size: what is asked for now, and what is expected to be. */
export interface ForecastLine {
  tier: string;
  size: string;
  waiting: number;
  held: number;
  usual: number; // the percentile
  expected: number; // with headroom
  more: number; // to make room for
}
export interface Forecast {
  percentile: number;
  over: string;
  headroom: number;
  from: string;
  until: string;
  basis: "same-weekday-and-hour" | "same-hour" | "all-hours" | "nothing";
  samples: number;
  message: string;
  lines: ForecastLine[];
  other: { now: number; usual: number; expected: number };
}

export type Plan = Base<
  "Plan",
  { maxParallel: number },
  {
    state: "proposed" | "scheduled" | "applying" | "done" | "stopped" | "aborted";
    window: { opens: string; closes: string } | null;
    reason: string | null;
    message: string | null;
    revision: number;
    served: number;
    servedBound: number;
    moved: number;
    movedBound: number;
    changedGpus: number;
    changedBound: number;
    proven: boolean;
    forcedRestarts: number;
    peakExtra: number;
    solveSeconds: number;
    progress: { moves: number; done: number; skipped: number };
    demand: { text: string; count: number; served: number }[];
    gpus: PlannedGpu[];
    mayRestart: boolean;
    moves: PlannedWay[];
    restarts: (PlannedWay & { notBefore: string | null; newLease: string | null })[];
    grants: (PlannedPlace & { request: string })[];
    forecast: Forecast | null;
    notes: string[];
  }
>;
/** What a plan is to serve. */
export interface PlanOrder {
  waiting: boolean;
  spareGpus: number;
  demand: { profile?: string; memory?: string; count: number }[];
  forecast?: { headroom: number };
}

export interface Kinds {
  Gpu: Gpu;
  Request: Request;
  Lease: Lease;
  Tier: Tier;
  Team: Team;
  Pool: Pool;
  Node: Node;
  Plan: Plan;
}
export type KindName = keyof Kinds;
export type AnyObject = Kinds[KindName];

export interface List<T> {
  kind: string;
  metadata: { revision: number; continue?: string | null };
  items: T[];
}

export interface Blocker {
  pool: string;
  technology: Technology;
  profile: string;
  reason: string;
  gpus: number;
  full: number;
  wrongLayout: number;
  scrubbing: number;
  away: number;
  host: number;
  fitting: number;
  detail: string;
}

export interface Alternative {
  kind: "smaller" | "weaker" | "other-tier" | "other-pool" | "any-model" | "later";
  text: string;
  profile?: string | null;
  spec?: Partial<Need> | null;
  at?: string | null;
  after?: string | null;
}

export interface Spot {
  tier: string;
  pool: string;
  node: string;
  slices: { gpu: string; technology: Technology; profile: string; start: number | null; creates?: boolean }[];
  pricePerHour: string | null;
}

export interface Explanation {
  kind: "Explanation";
  fitsNow: boolean;
  tier?: string | null;
  reason?: string | null;
  message: string;
  spot?: Spot | null;
  blockers?: Blocker[];
  alternatives?: Alternative[];
  hints?: string[];
  position?: number | null;
  eta?: string | null;
}

export interface CapacityTier {
  name: string;
  isolation: Isolation;
  /** The memory that a slot has. */
  slot: string;
  potential: { slots: number; mix: Record<string, number>; note?: string | null };
  /** `slots` are slices of any size; `fraction` is the part of the tier's GPUs that they take. */
  used: { slots: number; fraction: number };
  free: { slots: number };
  pools: { pool: string; technology: Technology }[];
}

export interface Capacity {
  kind: "Capacity";
  tiers: CapacityTier[];
  gpus: { declared: number; ready: number };
}

export interface WhoAmI {
  name: string;
  role: "viewer" | "member" | "operator" | "admin" | "agent";
  subject?: string | null;
}

/** application/problem+json */
export interface ProblemBody {
  type?: string;
  title?: string;
  status: number;
  reason?: string;
  detail?: string;
  field?: string;
  hint?: string;
}
