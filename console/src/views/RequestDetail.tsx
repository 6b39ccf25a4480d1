import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Alternative, Explanation, Need, Request } from "../api/types";
import { formatPrice } from "../model/quantity";
import { canCancel, compactNeed, groupOf, stepsOf, wantOf } from "../model/requests";
import { attempt, go } from "../navigation";
import { api, isOperator, mayActFor, store } from "../state";
import { Icon } from "../ui/Icon";
import { LeaseActions } from "../ui/LeaseActions";
import { At, Facts, State, Team, Until } from "../ui/parts";
import { Why } from "./Why";
import { noteEta } from "./etas";

function Steps({ request }: { request: Request }) {
  return (
    <ol class="steps" aria-label="Life-cycle">
      {stepsOf(request).map((step) => (
        <li
          key={step.label}
          class={`step-${step.done}`}
          aria-current={step.done === "now" ? "step" : undefined}
        >
          {step.label}
        </li>
      ))}
    </ol>
  );
}

/** The request's explanation while it waits; asked again when it changes and every ten seconds. */
function useExplanation(request: Request | undefined): Explanation | null {
  const [answer, setAnswer] = useState<Explanation | null>(null);
  const name = request?.metadata.name ?? "";
  const waits = request !== undefined && groupOf(request.status.state) === "waiting";
  const position = request?.status.position;
  useEffect(() => {
    if (!waits) return setAnswer(null);
    let current = true;
    const ask = async (): Promise<void> => {
      try {
        const explanation = await api().explain(name);
        if (!current) return;
        setAnswer(explanation);
        noteEta(name, explanation.eta ?? null);
      } catch {
        // The last answer stays; the request itself says where it is.
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), 10_000);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [name, waits, position]);
  return answer;
}

/** Asks for the changed need first and gives the old request up only when that was accepted. */
async function switchTo(old: Request, alternative: Alternative): Promise<void> {
  const { spec } = old;
  const need = compactNeed({ ...(alternative.spec as Need), team: spec.team, purpose: spec.purpose ?? "" });
  const made = await attempt("", () => api().submit(need));
  if (!made) return;
  await attempt(`${made.metadata.name} replaces ${old.metadata.name}`, () =>
    api().requestVerb(old.metadata.name, "cancel"),
  );
  go("requests", made.metadata.name);
}

function Slices({ request }: { request: Request }) {
  const slices = request.status.slices ?? [];
  if (slices.length === 0) return null;
  return (
    <>
      <h3>{slices.length === 1 ? "Slice" : `${slices.length} slices`}</h3>
      <ul class="slices">
        {slices.map((slice) => (
          <li key={`${slice.gpu}:${slice.start}`}>
            <b>{slice.profile}</b>
            <span>
              on{" "}
              <a href={`#/fleet/${slice.gpu}${generationOf(request, slice.gpu, slice.start)}`}>{slice.gpu}</a>
              {slice.phase && ` · ${slice.phase}`}
            </span>
            {slice.device && <code class="device">{slice.device}</code>}
          </li>
        ))}
      </ul>
    </>
  );
}

/** "@7": which grant on that GPU this is, so that the grid can point at it. */
function generationOf(request: Request, gpu: string, start: number | null): string {
  const slices = store.kinds.Gpu.get(gpu)?.status.slices ?? [];
  const own = slices.find((s) => s.lease === request.status.lease && (start === null || s.start === start));
  return own ? `@${own.generation}` : "";
}

function Actions({ request }: { request: Request }) {
  const { name } = request.metadata;
  const { state, lease } = request.status;
  const held = lease ? store.kinds.Lease.get(lease) : undefined;
  const verb = (word: "cancel" | "approve" | "reject", done: string): void => {
    void attempt(`${name} is ${done}`, () => api().requestVerb(name, word));
  };
  return (
    <>
      {held && <LeaseActions lease={held} />}
      {canCancel(state) && (
        <div class="actions">
          {state === "pending-approval" && isOperator() && (
            <>
              <button class="button primary" onClick={() => verb("approve", "approved")}>
                Approve
              </button>
              <button class="button" onClick={() => verb("reject", "rejected")}>
                Reject
              </button>
            </>
          )}
          {mayActFor(request.spec.team) && (
            <button class="button danger" onClick={() => verb("cancel", "cancelled")}>
              Cancel the request
            </button>
          )}
        </div>
      )}
    </>
  );
}

function factsOf(request: Request): [string, ComponentChildren][] {
  const { spec, status, metadata } = request;
  const rows: [string, ComponentChildren][] = [["Team", <Team name={spec.team} />]];
  if (spec.purpose) rows.push(["Purpose", spec.purpose]);
  rows.push(["Want", wantOf(spec)]);
  if (status.tier) rows.push(["Tier", status.tier]);
  if (spec.pool) rows.push(["Pool", spec.pool]);
  if (spec.models?.length) rows.push(["Models", spec.models.join(", ")]);
  rows.push(["For", spec.duration ?? "the tier's default"]);
  rows.push([
    "Asked",
    <>
      <At at={metadata.createdAt} />
      {metadata.createdBy ? ` by ${metadata.createdBy}` : ""}
    </>,
  ]);
  if (status.lease) rows.push(["Lease", <code>{status.lease}</code>]);
  if (status.expiresAt) rows.push(["Expires", <Until at={status.expiresAt} />]);
  if (status.pricePerHour) rows.push(["Per hour", formatPrice(status.pricePerHour)]);
  return rows;
}

export function RequestDetail({ name, onClose }: { name: string; onClose: () => void }) {
  const request = store.kinds.Request.get(name);
  const why = useExplanation(request);
  return (
    <aside class="panel wide" aria-label={`Details of ${name}`}>
      <header>
        <h2>{name}</h2>
        {request && <State state={request.status.state} />}
        <span class="grow" />
        <button class="icon" onClick={onClose} aria-label="Close the details">
          <Icon name="close" />
        </button>
      </header>
      {request ? (
        <>
          <Steps request={request} />
          {request.status.message && !why && <p class="message">{request.status.message}</p>}
          {why && (
            <Why
              answer={why}
              {...(mayActFor(request.spec.team)
                ? { onSwitch: (a: Alternative) => void switchTo(request, a) }
                : {})}
            />
          )}
          <Facts rows={factsOf(request)} />
          {(request.status.hints ?? []).map((hint) => (
            <p key={hint} class="hint">
              {hint}
            </p>
          ))}
          <Slices request={request} />
          <Actions request={request} />
        </>
      ) : (
        <p>There is no such request.</p>
      )}
    </aside>
  );
}
