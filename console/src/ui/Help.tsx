import { useEffect, useRef } from "preact/hooks";
import { helpOpen } from "../navigation";

const kShortcuts: [string, [string, string][]][] = [
  [
    "Anywhere",
    [
      ["f", "Fleet"],
      ["r", "Requests"],
      ["n", "New request"],
      ["p", "Plan"],
      ["c", "Tiers and capacity"],
      ["/", "Filter"],
      ["t", "Light or dark"],
      ["?", "This help"],
    ],
  ],
  [
    "In the grid",
    [
      ["← →", "Along a GPU's memory"],
      ["↑ ↓", "From GPU to GPU"],
      ["PgUp PgDn", "From node to node"],
      ["Enter", "Details"],
      ["Esc", "Close the details"],
    ],
  ],
  [
    "In the table",
    [
      ["↑ ↓", "From request to request"],
      ["Enter", "Details"],
      ["Esc", "Close the details"],
    ],
  ],
];

/** A native dialog: it keeps the focus inside and gives it back when closed. */
export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={() => (helpOpen.value = false)}>
      <h2 id="help-title">Keyboard</h2>
      <div class="help-columns">
        {kShortcuts.map(([title, keys]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys.map(([key, meaning]) => (
                <div key={key}>
                  <dt>
                    {key.split(" ").map((one) => (
                      <kbd key={one}>{one}</kbd>
                    ))}
                  </dt>
                  <dd>{meaning}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <form method="dialog">
        <button class="button">Close</button>
      </form>
    </dialog>
  );
}
