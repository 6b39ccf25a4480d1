import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api/client";
import type { Explanation, Need, Request } from "../api/types";
import { api } from "../state";

/** What the server would do with a need, before it is submitted. */
export type Answer =
  | { kind: "fits"; explanation: Explanation; request: Request }
  | { kind: "waits"; explanation: Explanation; request: Request }
  | { kind: "refused"; problem: Problem };

const kDebounceMs = 250;
const kRefreshMs = 8000;

async function ask(need: Need): Promise<Answer> {
  try {
    const [explanation, request] = await Promise.all([api().explainNeed(need), api().dryRun(need)]);
    const fits = explanation.fitsNow && request.status.state !== "pending-approval";
    return { kind: fits ? "fits" : "waits", explanation, request };
  } catch (error) {
    if (error instanceof Problem) return { kind: "refused", problem: error };
    throw error;
  }
}

/** Asks a moment after the last change, and again from time to time: the fleet lives. */
export function useAnswer(need: Need): { answer: Answer | null; pending: boolean } {
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [pending, setPending] = useState(true);
  const latest = useRef(0);
  const key = JSON.stringify(need);
  useEffect(() => {
    if (!need.team) return;
    const turn = ++latest.current;
    const run = async (): Promise<void> => {
      const next = await ask(JSON.parse(key) as Need);
      if (turn !== latest.current) return;
      setAnswer(next);
      setPending(false);
    };
    setPending(true);
    const timer = setTimeout(() => void run(), kDebounceMs);
    const again = setInterval(() => void run(), kRefreshMs);
    return () => {
      clearTimeout(timer);
      clearInterval(again);
    };
  }, [key]);
  return { answer, pending };
}
