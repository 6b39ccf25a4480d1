/**
 * A team's colour and letters. Colours are told apart by colour-blind people too (after Paul Tol's
 * "muted" scheme, which is defined in style/theme.css as --team-0 … --team-8); with more teams than
 * colours the letters and a second mark tell them apart.
 */
export interface TeamMark {
  colour: number; // 0 … 8
  round: number; // 0: plain; 1 and more: with a second mark
  letters: string;
}

export const kColours = 9;

/** FNV-1a: the same team keeps its colour as others come and go, collisions apart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/** The shortest start of the name that no earlier team has, else its letter and a number. */
function lettersOf(name: string, taken: Set<string>): string {
  const compact = name.replace(/[^a-z0-9]/gi, "");
  const initials = name
    .split(/[^a-z0-9]+/i)
    .map((word) => word.charAt(0))
    .join("");
  const candidates = [compact.slice(0, 1), initials.slice(0, 2), compact.slice(0, 2), compact.slice(0, 3)];
  for (let i = 1; i < compact.length; i++) candidates.push(compact.charAt(0) + compact.charAt(i));
  for (const candidate of candidates) {
    const letters = candidate.toUpperCase();
    if (letters !== "" && !taken.has(letters)) return letters;
  }
  let number = 2;
  while (taken.has(`${compact.charAt(0).toUpperCase()}${number}`)) number++;
  return `${compact.charAt(0).toUpperCase()}${number}`;
}

export function assignMarks(teams: readonly string[]): Map<string, TeamMark> {
  const marks = new Map<string, TeamMark>();
  const rounds: Set<number>[] = [];
  const letters = new Set<string>();
  for (const name of [...teams].sort()) {
    const wish = hash(name) % kColours;
    let round = 0;
    while (rounds[round] && rounds[round]!.size === kColours) round++;
    const taken = (rounds[round] ??= new Set());
    let colour = wish;
    while (taken.has(colour)) colour = (colour + 1) % kColours;
    taken.add(colour);
    const mark = { colour, round, letters: lettersOf(name, letters) };
    letters.add(mark.letters);
    marks.set(name, mark);
  }
  return marks;
}
