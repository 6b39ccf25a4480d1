import { type Signal, signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Isolation, Need, Request } from "../api/types";
import { commandOf, compactNeed, normaliseMemory } from "../model/requests";
import { attempt, go, say } from "../navigation";
import { api, isOperator, mayActFor, store, who } from "../state";
import { Icon } from "../ui/Icon";
import { Answer } from "./Answer";
import { useAnswer } from "./useAnswer";

/** The form's fields as typed; kept while other views are visited. */
interface Form {
  team: string;
  purpose: string;
  memory: string;
  compute: string;
  isolation: Isolation;
  count: string;
  duration: string;
  tier: string;
  pool: string;
  models: string;
  cpu: string;
  hostMemory: string;
}
const kEmpty: Form = {
  team: "",
  purpose: "",
  memory: "10GB",
  compute: "",
  isolation: "partition",
  count: "1",
  duration: "8h",
  tier: "",
  pool: "",
  models: "",
  cpu: "",
  hostMemory: "",
};
const form: Signal<Form> = signal(kEmpty);

const kIsolations: [Isolation, string, string][] = [
  ["shared", "Shared", "Plain time-slicing. Nothing is enforced."],
  ["limited", "Limited", "Time-slicing with memory and compute limited in software."],
  ["virtual", "Virtual", "A vGPU behind the hypervisor's wall."],
  ["partition", "Partition", "A hardware partition: own memory, caches and compute."],
  ["dedicated", "Dedicated", "A whole GPU."],
];
const kMemories = ["5GB", "10GB", "20GB", "40GB", "80GB"];
const kDurations = ["1h", "4h", "8h", "1d", "7d"];

export function needOf(fields: Form): Need {
  return compactNeed({
    team: fields.team,
    purpose: fields.purpose.trim(),
    memory: normaliseMemory(fields.memory),
    compute: Number(fields.compute) || 0,
    isolation: fields.isolation,
    count: Number(fields.count) || 1,
    duration: fields.duration.replace(/\s+/g, ""),
    tier: fields.tier,
    pool: fields.pool,
    models: fields.models ? [fields.models] : [],
    cpu: fields.cpu.trim(),
    hostMemory: normaliseMemory(fields.hostMemory),
  });
}

function set(change: Partial<Form>): void {
  form.value = { ...form.value, ...change };
}

/** The server names fields as spec.memory; the message stands beside the field. */
function Field(props: {
  id: keyof Form;
  label: string;
  note?: string;
  error?: string;
  children: ComponentChildren;
}) {
  return (
    <div class={`field ${props.error ? "wrong" : ""}`}>
      <label for={`f-${props.id}`}>{props.label}</label>
      {props.children}
      {props.note && !props.error && <p class="note">{props.note}</p>}
      {props.error && (
        <p class="error" id={`e-${props.id}`}>
          {props.error}
        </p>
      )}
    </div>
  );
}

function Text({ id, placeholder, wrong }: { id: keyof Form; placeholder?: string; wrong?: boolean }) {
  return (
    <input
      id={`f-${id}`}
      value={form.value[id]}
      placeholder={placeholder}
      autocomplete="off"
      spellcheck={false}
      aria-invalid={wrong}
      aria-describedby={wrong ? `e-${id}` : undefined}
      onInput={(event) => set({ [id]: event.currentTarget.value })}
    />
  );
}

function Pick({ id, none, options }: { id: keyof Form; none: string; options: string[] }) {
  return (
    <select
      id={`f-${id}`}
      value={form.value[id]}
      onChange={(event) => set({ [id]: event.currentTarget.value })}
    >
      {none && <option value="">{none}</option>}
      {options.map((option) => (
        <option key={option} value={option}>
          {option}
        </option>
      ))}
    </select>
  );
}

function Chips({ id, options }: { id: "memory" | "duration"; options: string[] }) {
  return (
    <div class="chips" role="group" aria-label={`Usual values: ${id}`}>
      {options.map((option) => (
        <button
          key={option}
          type="button"
          aria-pressed={form.value[id] === option}
          onClick={() => set({ [id]: option })}
        >
          {option.replace("GB", " GB")}
        </button>
      ))}
    </div>
  );
}

function IsolationChoice() {
  return (
    <fieldset class="field isolation">
      <legend>Isolation, at least</legend>
      <div class="ladder">
        {kIsolations.map(([value, label, meaning], i) => (
          <label key={value} class={form.value.isolation === value ? "on" : ""}>
            <input
              type="radio"
              name="isolation"
              value={value}
              checked={form.value.isolation === value}
              onChange={() => set({ isolation: value })}
            />
            <i class={`wall wall-${i}`} aria-hidden="true" />
            <b>{label}</b>
            <span class="visually-hidden">{meaning}</span>
          </label>
        ))}
      </div>
      <p class="note">{kIsolations.find(([value]) => value === form.value.isolation)?.[2]}</p>
    </fieldset>
  );
}

function More({ wrong }: { wrong: (id: keyof Form) => string }) {
  const names = (list: { metadata: { name: string } }[]): string[] =>
    list.map((one) => one.metadata.name).sort();
  const models = [...new Set(store.kinds.Pool.all().map((pool) => pool.spec.model))].sort();
  return (
    <details class="more">
      <summary>More: compute, tier, pool, model, host</summary>
      <div class="fields">
        <Field id="compute" label="Compute, percent of a GPU" error={wrong("compute")}>
          <Text id="compute" placeholder="any" wrong={wrong("compute") !== ""} />
        </Field>
        <Field id="tier" label="Tier" error={wrong("tier")}>
          <Pick id="tier" none="the least that satisfies" options={names(store.kinds.Tier.all())} />
        </Field>
        <Field id="pool" label="Pool" error={wrong("pool")}>
          <Pick id="pool" none="any" options={names(store.kinds.Pool.all())} />
        </Field>
        <Field id="models" label="GPU model" error={wrong("models")}>
          <Pick id="models" none="any" options={models} />
        </Field>
        <Field id="cpu" label="Host CPUs" error={wrong("cpu")}>
          <Text id="cpu" placeholder="none" wrong={wrong("cpu") !== ""} />
        </Field>
        <Field id="hostMemory" label="Host memory" error={wrong("hostMemory")}>
          <Text id="hostMemory" placeholder="none, or 64GiB" wrong={wrong("hostMemory") !== ""} />
        </Field>
      </div>
    </details>
  );
}

function Command({ need }: { need: Need }) {
  const text = commandOf(need);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      say("good", "Copied");
    } catch {
      // Browsers keep the clipboard from pages that came without encryption.
      say("bad", "The browser does not let this page copy", "Select the command and copy it yourself");
    }
  };
  return (
    <div class="command">
      <code>{text}</code>
      <button type="button" class="icon" onClick={() => void copy()} aria-label="Copy the command">
        <Icon name="copy" />
      </button>
    </div>
  );
}

/** Teams the signed-in person may ask for: those without teams below them. */
function useTeams(): string[] {
  const all = store.kinds.Team.all();
  const parents = new Set(all.map((team) => team.spec.parent));
  const teams = all
    .map((team) => team.metadata.name)
    .filter((team) => mayActFor(team) && !parents.has(team))
    .sort();
  const own = who.value?.subject ?? "";
  const first = teams.includes(own) ? own : teams[0];
  useEffect(() => {
    if (first && !teams.includes(form.value.team)) set({ team: first });
  }, [first]);
  return teams;
}

function outcome(made: Request): string {
  const { state, position } = made.status;
  if (state === "queued") return position ? `is queued, place ${position}` : "is queued";
  if (state === "pending-approval") return "waits for approval";
  return state === "active" ? "is active" : "is being prepared";
}

export function NewRequestView() {
  const teams = useTeams();
  const need = needOf(form.value);
  const { answer, pending } = useAnswer(need);
  const [busy, setBusy] = useState(false);
  const problem = answer?.kind === "refused" ? answer.problem : null;
  const wrong = (id: keyof Form): string =>
    problem?.body.field?.replace(/^spec\./, "").split(/[.[]/)[0] === id ? problem.message : "";
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    const made = await attempt("", () => api().submit(need));
    setBusy(false);
    if (!made) return;
    say("good", `${made.metadata.name} ${outcome(made)}`);
    go("requests", made.metadata.name);
  };
  return (
    <div class="ask">
      <form class="ask-form" onSubmit={(event) => void submit(event)}>
        <h1>What do you need?</h1>
        <div class="fields">
          <Field id="team" label="Team" error={wrong("team")}>
            <Pick id="team" none="" options={teams} />
          </Field>
          <Field id="purpose" label="Purpose">
            <Text id="purpose" placeholder="for people to read" />
          </Field>
        </div>
        <Field id="memory" label="GPU memory" error={wrong("memory")}>
          <div class="with-chips">
            <Text id="memory" placeholder="10GB" wrong={wrong("memory") !== ""} />
            <Chips id="memory" options={kMemories} />
          </div>
        </Field>
        <IsolationChoice />
        <div class="fields uneven">
          <Field id="duration" label="For" error={wrong("duration")}>
            <div class="with-chips">
              <Text id="duration" placeholder="8h" wrong={wrong("duration") !== ""} />
              <Chips id="duration" options={kDurations} />
            </div>
          </Field>
          <Field id="count" label="Slices, on one node" error={wrong("count")}>
            <input
              id="f-count"
              type="number"
              min={1}
              max={64}
              value={form.value.count}
              onInput={(event) => set({ count: event.currentTarget.value })}
            />
          </Field>
        </div>
        <More wrong={wrong} />
        <div class="ask-submit">
          <button class="button primary large" disabled={busy || problem !== null || teams.length === 0}>
            {busy ? "Asking…" : answer?.kind === "waits" ? "Join the queue" : "Request it"}
          </button>
          {teams.length === 0 && (
            <p class="note">
              {isOperator()
                ? "No team is declared yet: tessera apply -f FILE."
                : "Your role may look, but not ask."}
            </p>
          )}
        </div>
        <Command need={need} />
      </form>
      <Answer answer={answer} pending={pending} onTake={(spec) => set(fromNeed(spec))} />
    </div>
  );
}

/** An alternative's need, back into the form. */
function fromNeed(spec: Partial<Need>): Partial<Form> {
  const change: Partial<Form> = {};
  if (spec.memory !== undefined) change.memory = spec.memory;
  if (spec.compute !== undefined) change.compute = spec.compute ? String(spec.compute) : "";
  if (spec.isolation !== undefined) change.isolation = spec.isolation;
  if (spec.count !== undefined) change.count = String(spec.count);
  if (spec.tier !== undefined) change.tier = spec.tier;
  if (spec.pool !== undefined) change.pool = spec.pool;
  if (spec.models !== undefined) change.models = spec.models[0] ?? "";
  return change;
}
