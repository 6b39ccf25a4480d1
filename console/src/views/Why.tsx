import type { Alternative, Blocker, Explanation } from "../api/types";
import { At } from "../ui/parts";

const kCounts: [
  keyof Blocker & ("full" | "wrongLayout" | "scrubbing" | "away" | "host" | "fitting"),
  string,
][] = [
  ["full", "full"],
  ["wrongLayout", "wrong layout"],
  ["scrubbing", "being cleaned"],
  ["away", "away"],
  ["host", "host full"],
  ["fitting", "with room"],
];

/** Where a count does not say enough: what is missing beside the room, or why room is no use. */
const kNeedsWords = ["wrongLayout", "host", "fitting"] as const;

/** One pool's GPUs by what is in the way, as a bar and in words. */
function BlockerRow({ blocker }: { blocker: Blocker }) {
  const counts = kCounts.filter(([key]) => blocker[key] > 0);
  return (
    <li class="blocker">
      <p>
        <b>{blocker.profile}</b> on {blocker.pool} <span class="code">{blocker.reason}</span>
      </p>
      <div
        class="stack"
        role="img"
        aria-label={`${blocker.gpus} GPUs: ${counts.map(([k, w]) => `${blocker[k]} ${w}`).join(", ")}`}
      >
        {counts.map(([key]) => (
          <i
            key={key}
            class={`why-${key}`}
            style={{ width: `${(blocker[key] / Math.max(1, blocker.gpus)) * 100}%` }}
          />
        ))}
      </div>
      <p class="counts">
        {blocker.gpus} GPUs:{" "}
        {counts.map(([key, word]) => (
          <span key={key}>
            <i class={`swatch why-${key}`} aria-hidden="true" />
            {blocker[key]} {word}
          </span>
        ))}
      </p>
      {kNeedsWords.some((key) => blocker[key] > 0) && <p class="note">{blocker.detail}</p>}
    </li>
  );
}

function AlternativeRow({
  one,
  onSwitch,
}: {
  one: Alternative;
  onSwitch?: ((a: Alternative) => void) | undefined;
}) {
  return (
    <li>
      <span>
        {one.at ? (
          <>
            fits when {one.after ?? "a lease"} ends, <At at={one.at} />, going by declared ends only
          </>
        ) : (
          one.text
        )}
      </span>
      {one.spec && onSwitch && (
        <button class="button small" onClick={() => onSwitch(one)}>
          Take this
        </button>
      )}
    </li>
  );
}

/** Why a need waits, what would make it fit, and when it will. */
export function Why({ answer, onSwitch }: { answer: Explanation; onSwitch?: (a: Alternative) => void }) {
  const blockers = answer.blockers ?? [];
  const alternatives = answer.alternatives ?? [];
  return (
    <section class="why" aria-label="Explanation">
      {answer.message && (
        <p class="message">
          {answer.reason && <span class="code">{answer.reason}</span>} {answer.message}
        </p>
      )}
      {(answer.position || answer.eta) && (
        <p class="outlook">
          {answer.position ? (
            <span>
              Position <b>{answer.position}</b>
            </span>
          ) : null}
          {answer.eta && (
            <span>
              About{" "}
              <b>
                <At at={answer.eta} />
              </b>
              , from declared ends only
            </span>
          )}
        </p>
      )}
      {alternatives.length > 0 && (
        <>
          <h3>It would fit</h3>
          <ul class="alternatives">
            {alternatives.map((one) => (
              <AlternativeRow key={one.text} one={one} onSwitch={onSwitch} />
            ))}
          </ul>
        </>
      )}
      {blockers.length > 0 && (
        <>
          <h3>In the way</h3>
          <ul class="blockers">
            {blockers.map((blocker) => (
              <BlockerRow
                key={`${blocker.pool}:${blocker.technology}:${blocker.profile}`}
                blocker={blocker}
              />
            ))}
          </ul>
        </>
      )}
      {(answer.hints ?? []).map((hint) => (
        <p key={hint} class="hint">
          {hint}
        </p>
      ))}
    </section>
  );
}
