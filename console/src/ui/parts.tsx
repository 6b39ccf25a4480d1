import type { ComponentChildren } from "preact";
import type { RequestState } from "../api/types";
import { between, clock, instant } from "../model/quantity";
import { groupOf } from "../model/requests";
import { markOf, now } from "../state";

/** A team's tile with its letters, and its name. */
export function Team({ name, bare = false }: { name: string; bare?: boolean }) {
  const mark = markOf(name);
  return (
    <span class="team">
      <i class={`tile t${mark.colour} ${mark.round > 0 ? "second" : ""}`} aria-hidden="true">
        {mark.letters}
      </i>
      {!bare && name}
    </span>
  );
}

export function State({ state }: { state: RequestState }) {
  return <span class={`state state-${groupOf(state)} is-${state}`}>{state.replace("-", " ")}</span>;
}

/** "in 2h 10m", live; the exact time as a tooltip. */
export function Until({ at }: { at: string | null | undefined }) {
  const when = instant(at);
  if (Number.isNaN(when)) return <>—</>;
  const text = between(now.value, when);
  return (
    <time dateTime={at ?? ""} title={new Date(when).toLocaleString()}>
      {when >= now.value ? `in ${text}` : `${text} ago`}
    </time>
  );
}

export function At({ at }: { at: string | null | undefined }) {
  const when = instant(at);
  if (Number.isNaN(when)) return <>—</>;
  return (
    <time dateTime={at ?? ""} title={new Date(when).toLocaleString()}>
      {clock(when, now.value)}
    </time>
  );
}

export function Age({ since }: { since: string | null | undefined }) {
  const when = instant(since);
  return <>{Number.isNaN(when) ? "—" : between(when, Math.max(now.value, when)).split(" ")[0]}</>;
}

export function Facts({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Parts of a whole, to scale. `parts` are fractions of 1 with a class each. */
export function Stack({ parts, label }: { parts: { share: number; kind: string }[]; label: string }) {
  return (
    <div class="stack" role="img" aria-label={label}>
      {parts
        .filter((part) => part.share > 0)
        .map((part) => (
          <i
            key={part.kind}
            class={`part-${part.kind}`}
            style={{ width: `${Math.min(1, part.share) * 100}%` }}
          />
        ))}
    </div>
  );
}
