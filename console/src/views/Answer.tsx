import type { Gpu, Need, Spot, Technology } from "../api/types";
import { formatPrice, parseDuration, parseMemory, showMemory } from "../model/quantity";
import { segmentsOf } from "../model/segments";
import { markOf, store } from "../state";
import { Why } from "./Why";
import type { Answer as AnswerOf } from "./useAnswer";

/** How much of its GPU's memory axis a slice takes, read from its profile's name. */
export function shareOf(profile: string, technology: Technology, gpu: Gpu): number {
  const mib = parseMemory(gpu.status.memory) || 1;
  if (technology === "whole") return 1;
  const share = /-(\d+(?:MiB|GiB))$/.exec(profile)?.[1];
  if (share) return Math.min(1, parseMemory(share) / mib);
  const gb = Number(/(\d+)gb/.exec(profile)?.[1] ?? /-(\d+)[A-Z]$/.exec(profile)?.[1] ?? 0);
  const slices = gpu.status.memorySlices;
  const part = (gb * 1024) / mib;
  return Math.min(1, slices > 0 ? Math.max(1, Math.round(part * slices)) / slices : part);
}

/** The GPU the slice would be made on, with the slice drawn in. */
function Preview({ spot, team }: { spot: Spot; team: string }) {
  const first = spot.slices[0];
  const gpu = first && store.kinds.Gpu.get(first.gpu);
  if (!first || !gpu) return null;
  const own = spot.slices.filter((slice) => slice.gpu === first.gpu);
  const segments = segmentsOf(gpu);
  const nextFree = segments.reduce((end, s) => (s.slice ? Math.max(end, s.start + s.size) : end), 0);
  const axis =
    first.technology === "mig" && gpu.status.memorySlices > 0
      ? gpu.status.memorySlices
      : parseMemory(gpu.status.memory) || 1;
  const mark = markOf(team);
  return (
    <figure class="preview">
      <div class="axis" aria-hidden="true">
        {segments.map((segment) => (
          <div
            key={segment.start}
            class={`seg ${segment.slice ? `is-${segment.slice.phase} ${segment.slice.team ? `dim t${markOf(segment.slice.team).colour}` : ""}` : segment.kind}`}
            style={{ left: `${segment.start * 100}%`, width: `${segment.size * 100}%` }}
          />
        ))}
        {own.map((slice) => (
          <div
            key={`${slice.profile}:${slice.start}`}
            class={`seg proposed t${mark.colour}`}
            style={{
              left: `${(slice.start === null ? nextFree : slice.technology === "whole" ? 0 : slice.start / axis) * 100}%`,
              width: `${shareOf(slice.profile, slice.technology, gpu) * 100}%`,
            }}
          >
            <b>{mark.letters}</b>
          </div>
        ))}
      </div>
      <figcaption>
        {spot.slices.length > 1 ? `${spot.slices.length} slices on ${spot.node}, the first on ` : "on "}
        <code>{first.gpu}</code>
        {first.creates === false ? ", a partition that exists already" : ""}
      </figcaption>
    </figure>
  );
}

function total(price: string, duration: string | undefined): string {
  const hours = parseDuration(duration ?? "") / 3600;
  const value = Number(price) * hours;
  return Number.isFinite(value) ? `about ${formatPrice(String(value))} for ${duration}` : "";
}

function Fits({ answer }: { answer: Extract<AnswerOf, { kind: "fits" }> }) {
  const { explanation, request } = answer;
  const spot = explanation.spot;
  const price = spot?.pricePerHour ?? request.status.pricePerHour ?? "";
  const profile = spot?.slices[0]?.profile ?? "";
  const count = spot?.slices.length ?? 1;
  const sum = price ? total(price, request.spec.duration) : "";
  return (
    <>
      <p class="verdict">
        You would get{" "}
        <b>
          {count > 1 ? `${count} × ` : ""}
          {profile}
        </b>{" "}
        on <b>{spot?.pool}</b> now{price && <>, {formatPrice(price)} per hour</>}
      </p>
      {spot && <Preview spot={spot} team={request.spec.team} />}
      <p class="note">
        Tier {explanation.tier ?? spot?.tier}
        {sum && ` · ${sum}`}
      </p>
    </>
  );
}

function Body({ answer, onTake }: { answer: AnswerOf; onTake: (spec: Partial<Need>) => void }) {
  if (answer.kind === "refused") {
    const { body } = answer.problem;
    const never = ["NeverFits", "NoTier", "AboveLimit"].includes(answer.problem.reason);
    return (
      <>
        <p class="verdict">
          {never && <b>Can never fit: </b>}
          {answer.problem.message}
        </p>
        {body.hint && <p class="hint">{body.hint}</p>}
        {body.reason && <span class="code">{body.reason}</span>}
      </>
    );
  }
  if (answer.kind === "fits")
    return (
      <>
        <Fits answer={answer} />
        {hintsOf(answer).map((hint) => (
          <p key={hint} class="hint">
            {hint}
          </p>
        ))}
      </>
    );
  const approval = answer.request.status.state === "pending-approval";
  return (
    <>
      <p class="verdict">
        <b>{approval ? "Needs approval" : "Queued"}</b>
        {approval ? ": " : ", because "}
        {(approval && answer.request.status.message) || lowered(answer.explanation.message)}
      </p>
      <Why
        answer={{ ...answer.explanation, message: "", reason: null, hints: hintsOf(answer) }}
        onSwitch={(one) => one.spec && onTake(one.spec)}
      />
    </>
  );
}

function hintsOf(answer: Extract<AnswerOf, { kind: "fits" | "waits" }>): string[] {
  return [...new Set([...(answer.explanation.hints ?? []), ...(answer.request.status.hints ?? [])])];
}

const lowered = (text: string): string =>
  /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;

export function Answer({
  answer,
  pending,
  onTake,
}: {
  answer: AnswerOf | null;
  pending: boolean;
  onTake: (spec: Partial<Need>) => void;
}) {
  const size =
    answer && answer.kind !== "refused" ? showMemory(answer.request.status.slices?.[0]?.memory) : "";
  return (
    <section
      class={`answer ${answer ? `answer-${answer.kind}` : ""} ${pending ? "pending" : ""}`}
      aria-live="polite"
      aria-busy={pending}
      aria-label="What would happen"
    >
      <h2>
        {pending && answer ? "Asking…" : "Right now"} {size && <small>{size} usable</small>}
      </h2>
      {answer ? <Body answer={answer} onTake={onTake} /> : <p class="note">The answer appears here as soon as a team asks.</p>}
    </section>
  );
}
