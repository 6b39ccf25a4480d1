import type { Lease } from "../api/types";
import { attempt } from "../navigation";
import { api, mayActFor } from "../state";

/** Renew and release, for those who may. */
export function LeaseActions({ lease }: { lease: Lease }) {
  const { name } = lease.metadata;
  const state = lease.status.state;
  if (!mayActFor(lease.spec.team) || !["provisioning", "active", "expiring"].includes(state)) return null;
  const renew = (extra: string, words: string): void => {
    void attempt(`${name} runs ${words} longer`, () => api().renew(name, extra));
  };
  const renewable = state !== "provisioning";
  return (
    <div class="actions">
      {renewable && (
        <>
          <button class="button" onClick={() => renew("4h", "4 hours")}>
            Renew 4 h
          </button>
          <button class="button" onClick={() => renew("1d", "1 day")}>
            Renew 1 d
          </button>
        </>
      )}
      <button
        class="button danger"
        onClick={() => void attempt(`${name} is being released`, () => api().release(name))}
      >
        Release
      </button>
    </div>
  );
}
