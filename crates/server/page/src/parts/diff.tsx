// A row before and after a change: what changed first and marked, what did not when asked for.

import { useState } from "preact/hooks";
import { cellText } from "./results";

export type RowImage = Record<string, unknown> | null | undefined;

interface Line {
  name: string;
  before: unknown;
  after: unknown;
  changed: boolean;
}

/** Values are compared as they are written: what came as text on one side and as a number on the other is equal. */
export function lines(before: RowImage, after: RowImage): Line[] {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  return names.map((name) => {
    const [was, is] = [before?.[name], after?.[name]];
    return { name, before: was, after: is, changed: !before || !after || cellText(was) !== cellText(is) };
  });
}

const SHOWN_UNCHANGED = 3;

export function Diff({ before, after, label }: { before: RowImage; after: RowImage; label: string }) {
  const [all, setAll] = useState(false);
  const every = lines(before, after);
  const both = Boolean(before && after);
  const changed = every.filter((line) => line.changed);
  const rest = every.length - changed.length;
  const shown = all || !both || rest <= SHOWN_UNCHANGED ? every : changed;
  return (
    <div class="diff">
      <table class="plain" aria-label={label}>
        <thead class={both ? "" : "sr"}>
          <tr>
            <th scope="col">Column</th>
            {before && <th scope="col">Before</th>}
            {after && <th scope="col">After</th>}
          </tr>
        </thead>
        <tbody>
          {shown.map((line) => (
            <tr key={line.name} class={both && line.changed ? "changed" : undefined}>
              <th scope="row" class="mono">
                {line.name}
              </th>
              {before && (
                <td class="mono was">
                  <Value value={line.before} />
                </td>
              )}
              {after && (
                <td class="mono is">
                  <Value value={line.after} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {both && rest > SHOWN_UNCHANGED && (
        <button type="button" class="link" onClick={() => setAll(!all)}>
          {all ? "show changed columns only" : `and ${rest} unchanged`}
        </button>
      )}
      {both && changed.length === 0 && <span class="muted">nothing changed</span>}
    </div>
  );
}

function Value({ value }: { value: unknown }) {
  if (value === undefined) return <span class="muted">not sent</span>;
  if (value === null) return <span class="muted">NULL</span>;
  return <>{cellText(value)}</>;
}

/** JSON, indented; anything else as it is. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
