import type { Forecast } from "../api/types";
import { barsOf, momentOf } from "../model/plan";

/** What is asked for now and what is expected, a bar for each tier and size. */
export function Expected({ forecast }: { forecast: Forecast }) {
  return (
    <section class="plan-expected" aria-labelledby="plan-expected-title">
      <h3 id="plan-expected-title">
        Expected from {momentOf(forecast.from)} to {momentOf(forecast.until)}
      </h3>
      <p class="hint">
        {forecast.percentile} % of the time no more than this was asked for, times {forecast.headroom};{" "}
        {forecast.message}.
      </p>
      {forecast.lines.length > 0 && (
        <table class="plan-moves">
          <thead>
            <tr>
              <th scope="col">Tier</th>
              <th scope="col">Size</th>
              <th scope="col">Held</th>
              <th scope="col">Waiting</th>
              <th scope="col">Usual</th>
              <th scope="col">Expected</th>
              <th scope="col">To make room for</th>
              <th scope="col">
                <span class="visually-hidden">Chart</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {barsOf(forecast).map(({ line, held, waiting, expected }) => (
              <tr key={`${line.tier} ${line.size}`}>
                <td>{line.tier}</td>
                <td>{line.size}</td>
                <td>{line.held}</td>
                <td>{line.waiting}</td>
                <td>{line.usual}</td>
                <td>{line.expected}</td>
                <td>{line.more}</td>
                <td class="plan-bar" aria-hidden="true">
                  <i class="is-held" style={{ width: `${held}%` }} />
                  <i class="is-waiting" style={{ width: `${waiting}%` }} />
                  <b style={{ left: `${expected}%` }} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {forecast.other.expected > 0 && (
        <p class="note">{forecast.other.expected} slices of sizes that are too many to follow are not planned for.</p>
      )}
    </section>
  );
}
