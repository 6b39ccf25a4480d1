import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Request } from "../api/types";
import { type Group, byNumber, groupOf, matches, wantOf } from "../model/requests";
import { go, route } from "../navigation";
import { store } from "../state";
import { Icon } from "../ui/Icon";
import { Age, At, State, Team } from "../ui/parts";
import { RequestDetail } from "./RequestDetail";
import { etaOf, useEtas } from "./etas";

const kRowHeight = 34;
const kOverscan = 12;

const text = signal("");
const group = signal<Group | "all">("all");

const kGroups: [Group | "all", string][] = [
  ["all", "All"],
  ["waiting", "Waiting"],
  ["running", "Running"],
  ["ended", "Ended"],
];

/** What waits first, in queue order; then what runs; then what ended; the newest first. */
const kOrder: Record<Group, number> = { waiting: 0, running: 1, ended: 2 };
function inOrder(a: Request, b: Request): number {
  const groupA = groupOf(a.status.state);
  const by = kOrder[groupA] - kOrder[groupOf(b.status.state)];
  if (by !== 0) return by;
  if (groupA === "waiting")
    return (
      (a.status.position || 1e9) - (b.status.position || 1e9) || byNumber(a.metadata.name, b.metadata.name)
    );
  return byNumber(b.metadata.name, a.metadata.name);
}

const kColumns: [string, string][] = [
  ["Request", ""],
  ["Team", ""],
  ["Want", "want"],
  ["Tier", "tier-cell"],
  ["State", ""],
  ["Reason", "reason"],
  ["Pos", "number"],
  ["ETA", "number"],
  ["Age", "number"],
];

function Row({ request, chosen, tabbable }: { request: Request; chosen: boolean; tabbable: boolean }) {
  const { metadata, spec, status } = request;
  const waiting = groupOf(status.state) === "waiting";
  return (
    <tr
      id={`row:${metadata.name}`}
      class={chosen ? "chosen" : ""}
      tabIndex={tabbable ? 0 : -1}
      data-request={metadata.name}
      aria-selected={chosen}
    >
      <td>
        <a href={`#/requests/${metadata.name}`} tabIndex={-1}>
          {metadata.name}
        </a>
      </td>
      <td>
        <Team name={spec.team} />
      </td>
      <td class="want" title={spec.purpose}>
        {wantOf(spec)}
        {spec.purpose && <small>{spec.purpose}</small>}
      </td>
      <td class="tier-cell">{status.tier ?? ""}</td>
      <td>
        <State state={status.state} />
      </td>
      <td class="reason">{status.reason ?? ""}</td>
      <td class="number">{status.position || ""}</td>
      <td class="number">{waiting ? <At at={status.eta ?? etaOf(metadata.name)} /> : ""}</td>
      <td class="number">
        <Age since={metadata.createdAt} />
      </td>
    </tr>
  );
}

/** Draws the rows near the scroll position only. */
function useWindow(count: number) {
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ from: 0, to: 60 });
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = (): void => {
      const from = Math.max(0, Math.floor(element.scrollTop / kRowHeight) - kOverscan);
      const to = from + Math.ceil(element.clientHeight / kRowHeight) + 2 * kOverscan;
      setRange((old) => (old.from === from && old.to === to ? old : { from, to }));
    };
    measure();
    const resized = new ResizeObserver(measure);
    resized.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      resized.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, []);
  return { box, from: Math.min(range.from, count), to: Math.min(range.to, count) };
}

function Toolbar({ counts }: { counts: Record<string, number> }) {
  return (
    <div class="tools">
      <h1>Requests</h1>
      <div class="segmented" role="group" aria-label="State">
        {kGroups.map(([key, word]) => (
          <button key={key} aria-pressed={group.value === key} onClick={() => (group.value = key)}>
            {word} <small>{counts[key] ?? 0}</small>
          </button>
        ))}
      </div>
      <input
        data-filter
        type="search"
        placeholder="Filter by team, purpose, profile, reason…"
        aria-label="Filter requests"
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
      <span class="grow" />
      <a class="button primary" href="#/new">
        <Icon name="plus" /> New request
      </a>
    </div>
  );
}

function useRows() {
  const version = store.kinds.Request.version.value;
  return useMemo(() => {
    const all = store.kinds.Request.all();
    const found = text.value.trim() ? all.filter((request) => matches(request, text.value.trim())) : all;
    const counts: Record<string, number> = { all: found.length };
    for (const request of found) {
      const key = groupOf(request.status.state);
      counts[key] = (counts[key] ?? 0) + 1;
    }
    const rows = found
      .filter((r) => group.value === "all" || groupOf(r.status.state) === group.value)
      .sort(inOrder);
    return { rows, counts };
  }, [version, text.value, group.value]);
}

export function RequestsView() {
  const { rows, counts } = useRows();
  const { box, from, to } = useWindow(rows.length);
  const [at, setAt] = useState(0);
  const shown = rows.slice(from, to);
  const chosen = route.value.name;
  useEtas(shown);

  const focusRow = (index: number): void => {
    const bounded = Math.max(0, Math.min(rows.length - 1, index));
    setAt(bounded);
    const top = bounded * kRowHeight;
    const element = box.current;
    if (element && top < element.scrollTop) element.scrollTop = top;
    if (element && top + 2 * kRowHeight > element.scrollTop + element.clientHeight)
      element.scrollTop = top + 2 * kRowHeight - element.clientHeight;
    requestAnimationFrame(() =>
      document.getElementById(`row:${rows[bounded]?.metadata.name}`)?.focus({ preventScroll: true }),
    );
  };
  const onKey = (event: KeyboardEvent): void => {
    const name = (event.target as HTMLElement).dataset.request;
    const here = name ? rows.findIndex((row) => row.metadata.name === name) : at;
    const moves: Record<string, number> = {
      ArrowDown: here + 1,
      j: here + 1,
      ArrowUp: here - 1,
      k: here - 1,
      Home: 0,
      End: rows.length - 1,
      PageDown: here + 15,
      PageUp: here - 15,
    };
    if (event.key === "Enter" && name) go("requests", name);
    else if (moves[event.key] !== undefined && name) focusRow(moves[event.key] ?? 0);
    else return;
    event.preventDefault();
  };
  const close = (): void => {
    go("requests");
    focusRow(
      Math.max(
        0,
        rows.findIndex((row) => row.metadata.name === chosen),
      ),
    );
  };
  return (
    <div class="split" onKeyDown={(event) => event.key === "Escape" && chosen && close()}>
      <div class="split-main">
        <Toolbar counts={counts} />
        <div class="table-box requests" ref={box} onKeyDown={onKey}>
          <table>
            <caption class="visually-hidden">Requests; arrow keys move, Enter opens</caption>
            <thead>
              <tr>
                {kColumns.map(([name, kind]) => (
                  <th key={name} scope="col" class={kind}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody
              onClick={(event) => {
                const row = (event.target as Element).closest<HTMLElement>("[data-request]");
                if (row?.dataset.request) go("requests", row.dataset.request);
              }}
            >
              {from > 0 && (
                <tr class="spacer" aria-hidden="true" style={{ height: `${from * kRowHeight}px` }} />
              )}
              {shown.map((request, i) => (
                <Row
                  key={request.metadata.name}
                  request={request}
                  chosen={request.metadata.name === chosen}
                  tabbable={from + i === Math.max(from, Math.min(at, to - 1))}
                />
              ))}
              {to < rows.length && (
                <tr
                  class="spacer"
                  aria-hidden="true"
                  style={{ height: `${(rows.length - to) * kRowHeight}px` }}
                />
              )}
            </tbody>
          </table>
          {rows.length === 0 && (
            <p class="empty">
              {store.kinds.Request.size === 0 ? "Nobody has asked for anything yet." : "No request matches."}{" "}
              <a href="#/new">Ask for a slice</a>
            </p>
          )}
        </div>
      </div>
      {chosen && <RequestDetail key={chosen} name={chosen} onClose={close} />}
    </div>
  );
}
