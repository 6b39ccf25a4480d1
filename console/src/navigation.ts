import { effect, signal } from "@preact/signals";
import { Problem } from "./api/client";

/** Where we are: #/VIEW or #/VIEW/NAME. */
export type View = "fleet" | "requests" | "new" | "capacity" | "plan";
export const kViews: readonly View[] = ["fleet", "requests", "new", "capacity", "plan"];

export interface Route {
  view: View;
  name: string;
}

export function parseRoute(hash: string): Route {
  const [view, ...rest] = hash.replace(/^#\/?/, "").split("/");
  const known = kViews.find((one) => one === view);
  return { view: known ?? "fleet", name: known ? rest.map(decodeURIComponent).join("/") : "" };
}

export const route = signal<Route>(parseRoute(location.hash));
addEventListener("hashchange", () => {
  route.value = parseRoute(location.hash);
});

export function go(view: View, name = ""): void {
  location.hash = name ? `#/${view}/${name}` : `#/${view}`;
}

// ---- theme ------------------------------------------------------------------------------------

export type Theme = "system" | "light" | "dark";
const kThemeKey = "tessera.theme";
const kThemes: readonly Theme[] = ["system", "light", "dark"];

export const theme = signal<Theme>(kThemes.find((t) => t === localStorage.getItem(kThemeKey)) ?? "system");
effect(() => {
  document.documentElement.dataset.theme = theme.value;
  localStorage.setItem(kThemeKey, theme.value);
});
/** To the opposite of what is seen now; a second time returns to the system's choice. */
export function toggleTheme(): void {
  const systemDark = matchMedia("(prefers-color-scheme: dark)").matches;
  if (theme.value === "system") theme.value = systemDark ? "light" : "dark";
  else theme.value = "system";
}

// ---- messages ---------------------------------------------------------------------------------

export interface Toast {
  id: number;
  tone: "good" | "bad";
  text: string;
  hint: string;
}
export const toasts = signal<Toast[]>([]);
let lastToast = 0;

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}
export function say(tone: Toast["tone"], text: string, hint = ""): void {
  const id = ++lastToast;
  toasts.value = [...toasts.value.slice(-3), { id, tone, text, hint }];
  setTimeout(() => dismiss(id), tone === "good" ? 5000 : 12_000);
}

/** Runs an action; says how it went. Returns nothing where it failed. */
export async function attempt<T>(done: string, run: () => Promise<T>): Promise<T | undefined> {
  try {
    const result = await run();
    if (done) say("good", done);
    return result;
  } catch (error) {
    if (error instanceof Problem) say("bad", error.message, error.body.hint ?? "");
    else say("bad", `This did not work: ${(error as Error).message}`);
    return undefined;
  }
}

export const helpOpen = signal(false);
