import type { Amount, CapacityTier, Team as TeamObject } from "../api/types";
import { formatGpus, formatPrice, parseAmount, showNeed, slotParts } from "../model/quantity";
import { capacity, store } from "../state";
import { Team } from "../ui/parts";

const percent = (part: number): string => `${Math.round(part * 100)} %`;
const kIsolation = ["shared", "limited", "virtual", "partition", "dedicated"];

function Slots({ tier, widest }: { tier: CapacityTier; widest: number }) {
  const all = Math.max(1, tier.potential.slots);
  const { used, free, lost } = slotParts(tier);
  const width = (slots: number): string => `${(slots / all) * 100}%`;
  const label = `${tier.potential.slots} slots: ${percent(used / all)} used, ${free} free${lost >= 1 ? `, ${Math.round(lost)} not reachable now` : ""}`;
  // Single slots are drawn while they can be told apart.
  const notches = tier.potential.slots <= 64 ? tier.potential.slots : 0;
  return (
    <div
      class="slots"
      role="img"
      aria-label={label}
      style={{ width: `${(tier.potential.slots / Math.max(1, widest)) * 100}%` }}
    >
      <i class="part-held" style={{ width: width(used) }} />
      <i class="part-stranded" style={{ width: width(lost) }} />
      <i class="part-free" style={{ width: width(free) }} />
      {Array.from({ length: Math.max(0, notches - 1) }, (_, i) => (
        <u key={i} style={{ left: `${((i + 1) / notches) * 100}%` }} />
      ))}
    </div>
  );
}

function Split({ tier }: { tier: CapacityTier }) {
  const { lost } = slotParts(tier);
  const slices = tier.used.slots;
  const parts: [string, string, string, string][] = [
    [
      "held",
      percent(tier.used.fraction),
      slices > 0 ? `used, in ${slices} ${slices === 1 ? "slice" : "slices"}` : "used",
      "The part of the GPUs that this tier's leases take; slices come in all sizes",
    ],
    ["free", String(tier.free.slots), "free", "Slots that fit now, one after the other"],
  ];
  if (lost >= 1)
    parts.push([
      "stranded",
      String(Math.round(lost)),
      "not reachable now",
      "Taken by other tiers, by smaller slices beside which no slot fits, or on GPUs that are away",
    ]);
  return (
    <ul class="slot-split">
      {parts.map(([kind, number, word, title]) => (
        <li key={kind} title={title}>
          <i class={`swatch part-${kind}`} aria-hidden="true" />
          <b>{number}</b> {word}
        </li>
      ))}
    </ul>
  );
}

function TierCard({ tier, widest }: { tier: CapacityTier; widest: number }) {
  const document = store.kinds.Tier.get(tier.name);
  const spec = document?.spec;
  const level = kIsolation.indexOf(tier.isolation);
  const mix = Object.entries(tier.potential.mix);
  // A pool is listed once for each technology that the tier uses there.
  const pools = [...new Set(tier.pools.map(({ pool }) => pool))];
  const facts = [
    spec?.technologies.join(", "),
    (spec?.oversubscription ?? 1) > 1 ? `compute handed out ${spec?.oversubscription} times` : "",
    spec?.maxDuration ? `up to ${spec.maxDuration}` : "",
    pools.length ? `${pools.length === 1 ? "pool" : "pools"} ${pools.join(", ")}` : "",
  ];
  return (
    <article class="tier">
      <header>
        <h2>{tier.name}</h2>
        <span class="isolation-badge" title={`Isolation: ${tier.isolation}`}>
          <i class={`wall wall-${level}`} aria-hidden="true" />
          {tier.isolation}
        </span>
        <span class="grow" />
        {spec?.pricePerHour && (
          <span class="price">
            <b>{formatPrice(spec.pricePerHour)}</b> per GPU hour
          </span>
        )}
      </header>
      {spec?.description && <p class="description">{spec.description}</p>}
      <div class="slot-line">
        <p class="slot-count">
          <b>{tier.potential.slots}</b> slots of {showNeed(tier.slot)}
        </p>
        <Split tier={tier} />
      </div>
      <Slots tier={tier} widest={widest} />
      {mix.length > 0 && (
        <p class="mix">
          {mix.map(([profile, count], i) => (
            <span key={profile}>
              {i > 0 && <em>+</em>}
              <b>{count}</b> × <code>{profile}</code>
            </span>
          ))}
        </p>
      )}
      {tier.potential.note && <p class="hint">{tier.potential.note}</p>}
      <p class="note">{facts.filter(Boolean).join(" · ")}</p>
    </article>
  );
}

/** The larger of the two dimensions is what limits a team. */
function largest(amount: Amount | null | undefined): number {
  if (amount === null || amount === undefined) return Number.NaN;
  if (typeof amount !== "object") return parseAmount(amount);
  return Math.max(parseAmount(amount.compute), parseAmount(amount.memory));
}

function QuotaBar({
  used,
  guaranteed,
  limit,
  widest,
}: {
  used: number;
  guaranteed: number;
  limit: number;
  widest: number;
}) {
  const scale = 100 / Math.max(widest, 0.001);
  const within = Math.min(used, guaranteed || 0);
  return (
    <div class="quota" aria-hidden="true">
      <i class="quota-limit" style={{ width: `${(Number.isNaN(limit) ? widest : limit) * scale}%` }} />
      <i class="quota-used" style={{ width: `${within * scale}%` }} />
      <i
        class="quota-borrowed"
        style={{ left: `${within * scale}%`, width: `${(used - within) * scale}%` }}
      />
      {guaranteed > 0 && <u style={{ left: `${guaranteed * scale}%` }} />}
    </div>
  );
}

interface QuotaRow {
  team: string;
  pool: string;
  used: number;
  guaranteed: number;
  limit: number;
}

function quotaRows(teams: readonly TeamObject[]): QuotaRow[] {
  return teams
    .flatMap((team) => {
      const quotas = team.spec.quotas ?? {};
      const usage = team.status.usage ?? {};
      const pools = [...new Set([...Object.keys(quotas), ...Object.keys(usage)])].sort();
      return pools.map((pool) => ({
        team: team.metadata.name,
        pool,
        used: largest(usage[pool]) || 0,
        guaranteed: largest(quotas[pool]?.guaranteed) || 0,
        limit: largest(quotas[pool]?.limit),
      }));
    })
    .sort((a, b) => a.team.localeCompare(b.team) || a.pool.localeCompare(b.pool));
}

function Quotas() {
  const rows = quotaRows(store.kinds.Team.all());
  if (rows.length === 0) return null;
  const widest = Math.max(...rows.map((row) => Math.max(row.used, row.guaranteed, row.limit || 0)));
  const number = (value: number): string => (Number.isNaN(value) ? "none" : formatGpus(value));
  return (
    <section class="quotas" aria-labelledby="quotas-title">
      <h2 id="quotas-title">Teams and quotas</h2>
      <p class="note">
        In GPUs, the larger of compute and memory. The mark is what is guaranteed; beyond it a team borrows.
      </p>
      <table>
        <thead>
          <tr>
            <th scope="col">Team</th>
            <th scope="col">Pool</th>
            <th scope="col" class="number">
              Used
            </th>
            <th scope="col" class="number">
              Guaranteed
            </th>
            <th scope="col" class="number">
              Limit
            </th>
            <th scope="col" class="bar">
              <span class="visually-hidden">Picture</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.team}:${row.pool}`}>
              <td>
                <Team name={row.team} />
              </td>
              <td>{row.pool}</td>
              <td class="number">{formatGpus(row.used)}</td>
              <td class="number">{number(row.guaranteed)}</td>
              <td class="number">{number(row.limit)}</td>
              <td class="bar">
                <QuotaBar {...row} widest={widest} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function CapacityView() {
  const answer = capacity.value;
  if (!answer) return <p class="loading">Counting…</p>;
  const widest = Math.max(1, ...answer.tiers.map((tier) => tier.potential.slots));
  const { declared, ready } = answer.gpus;
  return (
    <div class="capacity" role="region" aria-label="Tiers and capacity" tabIndex={0}>
      <header class="capacity-head">
        <h1>Tiers and capacity</h1>
        <p>
          <b>{ready}</b> of {declared} declared GPUs are ready. Tiers share them: what one uses, another
          cannot.
        </p>
      </header>
      {answer.tiers.length === 0 && (
        <p class="empty">
          No tier is declared yet. <code>tessera apply -f FILE</code> declares them, with pools, nodes and
          teams.
        </p>
      )}
      <div class="tiers">
        {answer.tiers.map((tier) => (
          <TierCard key={tier.name} tier={tier} widest={widest} />
        ))}
      </div>
      <Quotas />
    </div>
  );
}
