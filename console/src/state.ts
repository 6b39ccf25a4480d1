import { computed, effect, signal } from "@preact/signals";
import { Client, Problem } from "./api/client";
import type { AnyObject, Capacity, KindName, Lease, WhoAmI } from "./api/types";
import { Store, kKinds, kPaths } from "./live/store";
import { type LinkState, backoff, watch } from "./live/watch";
import { type TeamMark, assignMarks } from "./model/palette";

/** What the whole console shares: who is signed in, the live objects, where we are. */

const kTokenKey = "tessera.token";

export const token = signal<string | null>(null);
export const who = signal<WhoAmI | null>(null);
export const loginError = signal("");
export const link = signal<LinkState>("connecting");
export const loaded = signal(false);
/** When the server was last heard of. */
export const lastSeen = signal(Date.now());
export const capacity = signal<Capacity | null>(null);
export const now = signal(Date.now());

export const store = new Store((run) => {
  // A hidden tab gets no frames, but must not let changes pile up.
  if (document.hidden) setTimeout(run, 500);
  else requestAnimationFrame(run);
});

let client: Client | null = null;
let running: AbortController | null = null;

export function api(): Client {
  if (!client) throw new Problem({ status: 401, reason: "Unauthenticated", detail: "Sign in first." });
  return client;
}

// ---- signing in -------------------------------------------------------------------------------

/** A token in the fragment (#token=…) is taken once and leaves the address bar and the history. */
function takeFragment(): boolean {
  const match = /^#token=([^&]+)/.exec(location.hash);
  if (!match?.[1]) return false;
  history.replaceState(null, "", `${location.pathname}${location.search}#/fleet`);
  void signIn(decodeURIComponent(match[1]));
  return true;
}

/** Signs in with the token of the address, else with this tab's. */
export function takeToken(): void {
  addEventListener("hashchange", takeFragment);
  if (takeFragment()) return;
  const kept = sessionStorage.getItem(kTokenKey);
  if (kept) void signIn(kept);
}

export async function signIn(secret: string): Promise<void> {
  loginError.value = "";
  const trial = new Client(secret, () => signOut("The token is no longer accepted. Sign in again."));
  try {
    who.value = await trial.whoami();
  } catch (error) {
    const refused = error instanceof Problem && error.status === 401;
    loginError.value = refused ? "This token is not accepted here." : (error as Error).message;
    return;
  }
  client = trial;
  token.value = secret;
  sessionStorage.setItem(kTokenKey, secret);
  running?.abort();
  running = new AbortController();
  void stayLive(trial, running.signal);
}

export function signOut(message = ""): void {
  running?.abort();
  running = null;
  client = null;
  token.value = null;
  who.value = null;
  loaded.value = false;
  loginError.value = message;
  sessionStorage.removeItem(kTokenKey);
  for (const kind of kKinds) store.replace(kind, []);
}

// ---- staying live -----------------------------------------------------------------------------

const alive = (object: AnyObject): boolean =>
  object.kind !== "Lease" || (object as Lease).status.state !== "ended";

async function listEverything(from: Client): Promise<number> {
  const lists = await Promise.all(kKinds.map((kind) => from.listAll<AnyObject>(kPaths[kind])));
  lists.forEach(({ items }, i) => store.replace(kKinds[i] as KindName, items.filter(alive)));
  return Math.min(...lists.map((list) => list.revision));
}

/** Lists, then watches; lists again when the server no longer holds our revision. */
async function stayLive(from: Client, stop: AbortSignal): Promise<void> {
  let attempt = 0;
  while (!stop.aborted) {
    link.value = "connecting";
    try {
      const revision = await listEverything(from);
      if (stop.aborted) return;
      loaded.value = true;
      attempt = 0;
      const handlers = {
        change: (type: "ADDED" | "MODIFIED" | "DELETED", object: unknown) =>
          store.change(alive(object as AnyObject) ? type : "DELETED", object),
        link: (state: LinkState) => {
          if (link.value === "live") lastSeen.value = Date.now();
          link.value = state;
        },
      };
      if ((await watch(from, kKinds, revision, handlers, stop)) === "unauthenticated")
        return signOut("The token is no longer accepted. Sign in again.");
    } catch {
      if (stop.aborted) return;
      link.value = "waiting";
      await new Promise((resolve) => setTimeout(resolve, backoff(attempt++)));
    }
  }
}

/** Capacity is a question, not an object: asked again, at most every two seconds, as GPUs change. */
let capacityTimer: ReturnType<typeof setTimeout> | undefined;
async function refreshCapacity(): Promise<void> {
  capacityTimer = undefined;
  try {
    if (client) capacity.value = await client.capacity();
  } catch {
    // The last answer stays; the link's state tells that the server is away.
  }
}
effect(() => {
  store.kinds.Gpu.version.value;
  store.kinds.Tier.version.value;
  if (loaded.value && capacityTimer === undefined)
    capacityTimer = setTimeout(() => void refreshCapacity(), capacity.peek() ? 2000 : 0);
});

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);

// ---- teams ------------------------------------------------------------------------------------

const teamNames = computed(() =>
  store.kinds.Team.all()
    .map((team) => team.metadata.name)
    .sort()
    .join("\n"),
);
export const marks = computed(() => assignMarks(teamNames.value.split("\n").filter(Boolean)));
const kUnknown: TeamMark = { colour: 0, round: 0, letters: "?" };
export function markOf(team: string): TeamMark {
  return marks.value.get(team) ?? { ...kUnknown, letters: team.charAt(0).toUpperCase() || "?" };
}

// ---- rights -----------------------------------------------------------------------------------

export function isOperator(): boolean {
  return who.value?.role === "operator" || who.value?.role === "admin";
}
export function mayActFor(team: string): boolean {
  return isOperator() || (who.value?.role === "member" && who.value.subject === team);
}
