import type {
  Capacity,
  Explanation,
  Lease,
  List,
  Need,
  Plan,
  PlanOrder,
  ProblemBody,
  Request,
  WhoAmI,
} from "./types";

/** A refusal by the server, or its absence (status 0). */
export class Problem extends Error {
  constructor(readonly body: ProblemBody) {
    super(body.detail || body.title || `The server answered ${body.status}`);
  }
  get status(): number {
    return this.body.status;
  }
  get reason(): string {
    return this.body.reason ?? "";
  }
}

const kTimeoutMs = 15_000;
const kPageSize = 1000;

async function problemOf(response: Response): Promise<Problem> {
  const fallback: ProblemBody = { status: response.status, title: response.statusText };
  try {
    const body = (await response.json()) as ProblemBody;
    return new Problem({ ...fallback, ...body, status: response.status });
  } catch {
    return new Problem(fallback);
  }
}

/** The API with one bearer token. Stateless otherwise; every call is bounded in time. */
export class Client {
  constructor(
    private readonly token: string,
    private readonly onUnauthenticated: () => void = () => {},
    private readonly base = "",
  ) {}

  headers(): Record<string, string> {
    return { Authorization: `Bearer ${this.token}`, Accept: "application/json" };
  }

  url(path: string): string {
    return `${this.base}${path}`;
  }

  async send<T>(method: string, path: string, body?: unknown, extra?: Record<string, string>): Promise<T> {
    const headers = { ...this.headers(), ...extra };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response: Response;
    try {
      response = await fetch(this.url(path), {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(kTimeoutMs),
      });
    } catch {
      throw new Problem({
        status: 0,
        reason: "Unreachable",
        detail: "The server does not answer. Is it running?",
      });
    }
    if (response.status === 401) this.onUnauthenticated();
    if (!response.ok) throw await problemOf(response);
    if (response.status === 204) return undefined as T;
    return (await response.json()) as T;
  }

  /** All pages of a kind, and the oldest revision among them: watching from there misses nothing. */
  async listAll<T>(path: string): Promise<{ items: T[]; revision: number }> {
    const items: T[] = [];
    let revision = Number.POSITIVE_INFINITY;
    let next: string | null | undefined;
    do {
      const more = next ? `&continue=${encodeURIComponent(next)}` : "";
      const page = await this.send<List<T>>("GET", `${path}?limit=${kPageSize}${more}`);
      items.push(...page.items);
      revision = Math.min(revision, page.metadata.revision);
      next = page.metadata.continue;
    } while (next);
    return { items, revision };
  }

  whoami(): Promise<WhoAmI> {
    return this.send("GET", "/v1/whoami");
  }
  version(): Promise<{ version?: string }> {
    return this.send("GET", "/v1/version");
  }
  capacity(): Promise<Capacity> {
    return this.send("GET", "/v1/capacity");
  }

  plan(order: PlanOrder, dryRun: boolean): Promise<Plan> {
    return this.send("POST", `/v1/plans${dryRun ? "?dryRun=true" : ""}`, order);
  }
  planVerb(
    plan: string,
    verb: "apply" | "abort",
    body: { window?: string; allowRestarts?: boolean } = {},
  ): Promise<Plan> {
    return this.send("POST", `/v1/plans/${encodeURIComponent(plan)}/${verb}`, body);
  }

  submit(need: Need): Promise<Request> {
    const key = { "Idempotency-Key": crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` };
    return this.send("POST", "/v1/requests", { kind: "Request", spec: need }, key);
  }
  dryRun(need: Need): Promise<Request> {
    return this.send("POST", "/v1/requests?dryRun=true", { kind: "Request", spec: need });
  }
  explainNeed(need: Need): Promise<Explanation> {
    return this.send("POST", "/v1/explain", { kind: "Request", spec: need });
  }
  explain(request: string): Promise<Explanation> {
    return this.send("GET", `/v1/requests/${encodeURIComponent(request)}/explanation`);
  }
  requestVerb(request: string, verb: "cancel" | "approve" | "reject"): Promise<Request> {
    return this.send("POST", `/v1/requests/${encodeURIComponent(request)}/${verb}`, {});
  }
  release(lease: string): Promise<Lease> {
    return this.send("POST", `/v1/leases/${encodeURIComponent(lease)}/release`, {});
  }
  renew(lease: string, extra: string): Promise<Lease> {
    return this.send("POST", `/v1/leases/${encodeURIComponent(lease)}/renew`, { extra });
  }
  nodeVerb(node: string, verb: "cordon" | "uncordon"): Promise<unknown> {
    return this.send("POST", `/v1/nodes/${encodeURIComponent(node)}/${verb}`, {});
  }
  restoreGpu(gpu: string): Promise<unknown> {
    return this.send("POST", `/v1/gpus/${gpu.split("/").map(encodeURIComponent).join("/")}/restore`, {});
  }
}
