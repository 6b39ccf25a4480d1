import { useEffect } from "preact/hooks";
import { type View, dismiss, go, helpOpen, kViews, route, theme, toasts, toggleTheme } from "../navigation";
import { link, loaded, signOut, token, who } from "../state";
import { CapacityView } from "../views/CapacityView";
import { FleetView } from "../views/FleetView";
import { Login } from "../views/Login";
import { NewRequestView } from "../views/NewRequestView";
import { PlanView } from "../views/PlanView";
import { RequestsView } from "../views/RequestsView";
import { Help } from "./Help";
import { Icon, Mosaic } from "./Icon";

const kTitles: Record<View, string> = {
  fleet: "Fleet",
  requests: "Requests",
  new: "New request",
  capacity: "Tiers and capacity",
  plan: "Plan",
};
const kKeys: Record<string, View> = { f: "fleet", r: "requests", n: "new", c: "capacity", p: "plan" };

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

function onShortcut(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || !token.value) return;
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  const view = kKeys[event.key];
  if (view) go(view);
  else if (event.key === "?") helpOpen.value = true;
  else if (event.key === "t") toggleTheme();
  else if (event.key === "/") document.querySelector<HTMLInputElement>("[data-filter]")?.focus();
  else return;
  event.preventDefault();
}

function LinkLight() {
  const words = { live: "Live", connecting: "Connecting", waiting: "Reconnecting" }[link.value];
  return (
    <span
      class={`link link-${link.value}`}
      role="status"
      aria-live="polite"
      title="Live by server-sent events"
    >
      <i aria-hidden="true" />
      {words}
    </span>
  );
}

function Header() {
  const dark = theme.value;
  return (
    <header class="top">
      <a class="brand" href="#/fleet" aria-label="Tessera, to the fleet">
        <Mosaic />
        <b>Tessera</b>
      </a>
      <nav aria-label="Views">
        {kViews.map((view) => (
          <a key={view} href={`#/${view}`} aria-current={route.value.view === view ? "page" : undefined}>
            {kTitles[view]}
          </a>
        ))}
      </nav>
      <span class="grow" />
      <LinkLight />
      <button
        class="icon"
        onClick={toggleTheme}
        aria-label={`Colours: ${dark}. Change`}
        title="Light or dark (t)"
      >
        <Icon name="theme" />
      </button>
      <button
        class="icon"
        onClick={() => (helpOpen.value = true)}
        aria-label="Keyboard help"
        title="Keyboard help (?)"
      >
        <Icon name="help" />
      </button>
      <span class="who" title={who.value?.subject ? `team ${who.value.subject}` : undefined}>
        {who.value?.name} <small>{who.value?.role}</small>
      </span>
      <button class="icon" onClick={() => signOut()} aria-label="Sign out" title="Sign out">
        <Icon name="leave" />
      </button>
    </header>
  );
}

function Toasts() {
  return (
    <div class="toasts" aria-live="polite" role="region" aria-label="Messages">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast toast-${toast.tone}`}>
          <p>
            {toast.text}
            {toast.hint && <small>{toast.hint}</small>}
          </p>
          <button class="icon" onClick={() => dismiss(toast.id)} aria-label="Dismiss">
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

function CurrentView() {
  if (!loaded.value) return <p class="loading">Reading the fleet…</p>;
  switch (route.value.view) {
    case "requests":
      return <RequestsView />;
    case "new":
      return <NewRequestView />;
    case "capacity":
      return <CapacityView />;
    case "plan":
      return <PlanView />;
    default:
      return <FleetView />;
  }
}

export function App() {
  useEffect(() => {
    addEventListener("keydown", onShortcut);
    return () => removeEventListener("keydown", onShortcut);
  }, []);
  const title = kTitles[route.value.view];
  useEffect(() => {
    document.title = token.value ? `${title} · Tessera` : "Tessera";
  }, [title, token.value]);
  if (!token.value) return <Login />;
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        Skip to the content
      </a>
      <Header />
      <main id="main" tabIndex={-1} class={`view view-${route.value.view}`} aria-label={title}>
        <CurrentView />
      </main>
      <Toasts />
      <Help />
    </>
  );
}
