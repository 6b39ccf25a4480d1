import { useState } from "preact/hooks";
import type { Plan, PlannedGpu, PlannedPlace, PlannedWay } from "../api/types";
import { type Arrow, type Box, type Wish, demandOf, kPicture, momentOf, pictureOf, verdictOf } from "../model/plan";
import { attempt, go, route } from "../navigation";
import { api, isOperator, markOf, store } from "../state";
import { Team } from "../ui/parts";
import { Expected } from "./Expected";

/** Who holds a slice that the plan leaves where it is: the plan names only those it moves. */
function teamAt(gpu: PlannedGpu, box: Box, arrows: readonly Arrow[]): string | null {
  const { slice } = box;
  if (slice.lease) return arrows.find((arrow) => arrow.lease === slice.lease)?.team ?? null;
  if (slice.use !== "leased") return null;
  const now = store.kinds.Gpu.get(gpu.gpu)?.status.slices.find((one) => one.start === slice.start);
  return now?.team ?? null;
}

function Slice({ gpu, box, arrows }: { gpu: PlannedGpu; box: Box; arrows: readonly Arrow[] }) {
  const team = teamAt(gpu, box, arrows);
  const colour = team ? `t${markOf(team).colour}` : "";
  const { slice } = box;
  const who = slice.lease ?? slice.request ?? (team ? `team ${team}` : slice.use);
  return (
    <g class={`plan-slice plan-${slice.use} ${colour}`}>
      <title>{`${gpu.gpu}: ${slice.profile} at ${slice.start}, ${who}`}</title>
      <rect x={box.x + 1} y={box.y + 1} width={box.width - 2} height={box.height - 2} rx={3} />
      {box.width > 44 && (
        <text x={box.x + box.width / 2} y={box.y + box.height / 2 + 4}>
          {slice.profile}
        </text>
      )}
    </g>
  );
}

/** Today at the left, tomorrow at the right, each lease's way between them. */
function Picture({ plan }: { plan: Plan }) {
  const picture = pictureOf(plan);
  if (picture.rows.length === 0) return <p class="note">No GPU changes.</p>;
  const right = kPicture.label + kPicture.bar + kPicture.between;
  const label = `${plan.status.gpus.length} GPUs today and after the plan, ${picture.arrows.length} leases move`;
  return (
    <div class="plan-picture" tabIndex={0} role="region" aria-label="Layouts today and after the plan">
      <svg viewBox={`0 0 ${picture.width} ${picture.height}`} role="img" aria-label={label}>
        <defs>
          <marker id="arrow-head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0 0L8 4L0 8z" />
          </marker>
        </defs>
        <text class="plan-head" x={kPicture.label} y={14}>
          Today
        </text>
        <text class="plan-head" x={right} y={14}>
          After the plan
        </text>
        {picture.rows.map((row) => (
          <g key={row.gpu.gpu}>
            <text class="plan-gpu" x={kPicture.label - 10} y={row.y + kPicture.row / 2 + 4}>
              {row.gpu.gpu}
            </text>
            {[kPicture.label, right].map((x) => (
              <rect key={x} class="plan-axis" x={x} y={row.y} width={kPicture.bar} height={kPicture.row} rx={4} />
            ))}
            {[...row.before, ...row.after].map((box) => (
              <Slice key={box.x} gpu={row.gpu} box={box} arrows={picture.arrows} />
            ))}
          </g>
        ))}
        {picture.arrows.map((arrow) => (
          <g
            key={arrow.lease}
            class={`plan-arrow ${arrow.restarts ? "is-restart" : ""} ${arrow.team ? `t${markOf(arrow.team).colour}` : ""}`}
          >
            <title>{`${arrow.lease} ${arrow.restarts ? "is restarted" : "moves"}`}</title>
            <circle cx={arrow.x} cy={arrow.y} r={3} />
            <path d={arrow.path} marker-end="url(#arrow-head)" />
          </g>
        ))}
      </svg>
    </div>
  );
}

function Ways({ ways, caption }: { ways: PlannedWay[]; caption: string }) {
  if (ways.length === 0) return null;
  const place = (one: PlannedPlace): string =>
    `${one.gpu ?? "gone"}, ${one.profile ?? "?"} at ${one.start ?? "?"}`;
  return (
    <table class="plan-moves">
      <caption>{caption}</caption>
      <thead>
        <tr>
          <th scope="col">Lease</th>
          <th scope="col">Team</th>
          <th scope="col">From</th>
          <th scope="col">To</th>
          <th scope="col">State</th>
        </tr>
      </thead>
      <tbody>
        {ways.map((move) => (
          <tr key={`${move.lease}:${place(move.to)}`}>
            <td>{move.lease}</td>
            <td>{move.team ? <Team name={move.team} /> : "—"}</td>
            <td>{place(move.from)}</td>
            <td>{place(move.to)}</td>
            <td>{move.state}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Applying a plan later: every week has such a window, and the next one is taken. */
function Later({ name, disabled, allowRestarts }: { name: string; disabled: boolean; allowRestarts: boolean }) {
  const [window, setWindow] = useState("Sat 02:00-06:00");
  return (
    <span class="plan-later">
      <input
        aria-label="Maintenance window, in UTC"
        value={window}
        onInput={(event) => setWindow(event.currentTarget.value)}
      />
      <button
        class="button"
        disabled={disabled}
        onClick={() =>
          void attempt(`${name} waits for ${window} UTC`, () =>
            api().planVerb(name, "apply", { window, allowRestarts }),
          )
        }
      >
        Apply in this window (UTC)
      </button>
    </span>
  );
}

function Actions({ plan }: { plan: Plan }) {
  const [agreed, setAgreed] = useState("");
  const { name } = plan.metadata;
  const { state, restarts } = plan.status;
  const allowRestarts = agreed === name;
  const disabled = restarts.length > 0 && !allowRestarts;
  if (!name || !isOperator() || !["proposed", "scheduled", "applying"].includes(state)) return null;
  return (
    <p class="plan-actions">
      {state === "proposed" && restarts.length > 0 && (
        <label class="plan-check">
          <input
            type="checkbox"
            checked={allowRestarts}
            onChange={(e) => setAgreed(e.currentTarget.checked ? name : "")}
          />
          Restart {restarts.map((way) => way.lease).join(", ")}
        </label>
      )}
      {state === "proposed" && (
        <button
          class="button primary"
          disabled={disabled}
          onClick={() =>
            void attempt(`${name} is being applied`, () => api().planVerb(name, "apply", { allowRestarts }))
          }
        >
          Apply {name}
        </button>
      )}
      {state === "proposed" && <Later name={name} disabled={disabled} allowRestarts={allowRestarts} />}
      <button
        class="button"
        onClick={() => void attempt(`${name} is aborted`, () => api().planVerb(name, "abort"))}
      >
        {state === "applying" ? "Stop it" : "Withdraw it"}
      </button>
    </p>
  );
}

function Shown({ plan }: { plan: Plan }) {
  const { achieves, proof } = verdictOf(plan);
  const { progress, message, notes, demand, forecast, window } = plan.status;
  return (
    <section class="plan-shown" aria-live="polite" aria-labelledby="plan-title">
      <h2 id="plan-title">
        {plan.metadata.name || "What if"} <small class={`plan-state is-${plan.status.state}`}>{plan.metadata.name ? plan.status.state : "not kept"}</small>
      </h2>
      <p class="plan-verdict">{achieves}</p>
      <p class="plan-proof">{proof}</p>
      {plan.status.state === "applying" && (
        <p>
          {progress.done} of {progress.moves} moves are done.
        </p>
      )}
      {window && (
        <p>
          Moves begin between {momentOf(window.opens)} and {momentOf(window.closes)} only.
        </p>
      )}
      {message && <p class="hint">{message}</p>}
      <Actions plan={plan} />
      {demand.length > 0 && (
        <ul class="plan-demand">
          {demand.map((line) => (
            <li key={line.text}>
              <b>
                {line.served} of {line.count}
              </b>{" "}
              {line.text}
            </li>
          ))}
        </ul>
      )}
      {forecast && <Expected forecast={forecast} />}
      <Picture plan={plan} />
      <Ways
        ways={plan.status.moves}
        caption="Leases that move, in order. What runs there starts again on the new device."
      />
      <Ways
        ways={plan.status.restarts}
        caption="Leases that there is no room to move. Their holders are told; after the tier's notice each ends, and its request gets another slice."
      />
      {notes.map((note) => (
        <p key={note} class="note">
          {note}.
        </p>
      ))}
    </section>
  );
}

/** A number from 0 on, as it is typed. */
function NumberField(field: {
  label: string;
  value: string;
  onValue: (value: string) => void;
  max?: string;
  step?: string;
}) {
  return (
    <label>
      {field.label}
      <input
        type="number"
        min="0"
        max={field.max}
        step={field.step}
        value={field.value}
        onInput={(e) => field.onValue(e.currentTarget.value)}
      />
    </label>
  );
}

const kEmpty: Wish = { what: "", count: "1" };

function Form({ onPlan }: { onPlan: (plan: Plan) => void }) {
  const [waiting, setWaiting] = useState(true);
  const [expected, setExpected] = useState(false);
  const [headroom, setHeadroom] = useState("1.2");
  const [spare, setSpare] = useState("0");
  const [wishes, setWishes] = useState<Wish[]>([kEmpty]);
  const [busy, setBusy] = useState(false);
  const change = (index: number, part: Partial<Wish>): void =>
    setWishes(wishes.map((wish, i) => (i === index ? { ...wish, ...part } : wish)));
  const ask = async (keep: boolean): Promise<void> => {
    setBusy(true);
    const order = {
      waiting,
      spareGpus: Math.max(0, Math.trunc(Number(spare) || 0)),
      demand: demandOf(wishes),
      ...(expected ? { forecast: { headroom: Number(headroom) || 1 } } : {}),
    };
    const plan = await attempt("", () => api().plan(order, !keep));
    setBusy(false);
    if (!plan) return;
    onPlan(plan);
    if (plan.metadata.name) go("plan", plan.metadata.name);
  };
  return (
    <form
      class="plan-form"
      aria-label="What if"
      onSubmit={(event) => {
        event.preventDefault();
        void ask(false);
      }}
    >
      <label class="plan-check">
        <input type="checkbox" checked={waiting} onChange={(e) => setWaiting(e.currentTarget.checked)} />
        Serve the requests that wait
      </label>
      <label class="plan-check">
        <input type="checkbox" checked={expected} onChange={(e) => setExpected(e.currentTarget.checked)} />
        Make room for what is usually asked for
      </label>
      {expected && (
        <NumberField label="Times" max="10" step="0.1" value={headroom} onValue={setHeadroom} />
      )}
      <NumberField label="Spare GPUs" value={spare} onValue={setSpare} />
      <fieldset>
        <legend>And also</legend>
        {wishes.map((wish, i) => (
          <div key={i} class="plan-wish">
            <input
              aria-label={`Demand ${i + 1}: a profile or an amount of memory`}
              placeholder="2g.20gb or 18GiB"
              value={wish.what}
              onInput={(e) => change(i, { what: e.currentTarget.value })}
            />
            <input
              aria-label={`Demand ${i + 1}: how many`}
              type="number"
              min="0"
              value={wish.count}
              onInput={(e) => change(i, { count: e.currentTarget.value })}
            />
          </div>
        ))}
        <button type="button" class="button" onClick={() => setWishes([...wishes, kEmpty])}>
          Another line
        </button>
      </fieldset>
      <p class="plan-actions">
        <button class="button primary" disabled={busy} aria-busy={busy}>
          {busy ? "Computing…" : "What if?"}
        </button>
        <button type="button" class="button" disabled={busy} onClick={() => void ask(true)}>
          Compute and keep
        </button>
      </p>
    </form>
  );
}

function Kept({ chosen }: { chosen: string }) {
  const plans = store.kinds.Plan.all().sort(
    (a, b) => Number(b.metadata.name.slice(5)) - Number(a.metadata.name.slice(5)),
  );
  if (plans.length === 0) return null;
  return (
    <nav class="plan-kept" aria-label="Plans">
      <h2>Plans</h2>
      <ul>
        {plans.map((plan) => (
          <li key={plan.metadata.name}>
            <a
              href={`#/plan/${plan.metadata.name}`}
              aria-current={plan.metadata.name === chosen ? "page" : undefined}
            >
              {plan.metadata.name}
            </a>{" "}
            <small class={`plan-state is-${plan.status.state}`}>{plan.status.state}</small>
          </li>
        ))}
      </ul>
    </nav>
  );
}

export function PlanView() {
  const [whatIf, setWhatIf] = useState<Plan | null>(null);
  const { name } = route.value;
  const kept = name ? store.kinds.Plan.get(name) : undefined;
  const shown = kept ?? (name ? null : whatIf);
  return (
    <div class="plan" role="region" aria-label="Plan" tabIndex={0}>
      <header>
        <h1>Plan</h1>
        <p>
          The layouts that serve the most, with a proof that nothing serves more, and the moves that lead there.
        </p>
      </header>
      <div class="plan-columns">
        <aside>
          {isOperator() ? (
            <Form
              onPlan={(plan) => {
                setWhatIf(plan);
                if (!plan.metadata.name) go("plan");
              }}
            />
          ) : (
            <p class="note">Plans are computed by operators.</p>
          )}
          <Kept chosen={name} />
        </aside>
        {shown ? <Shown plan={shown} /> : <p class="note">Nothing is computed yet.</p>}
      </div>
    </div>
  );
}
