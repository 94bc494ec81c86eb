// A table that is short enough to be shown whole: columns say what they are, the first one names the row.

import type { ComponentChildren } from "preact";

export interface PlainColumn<T> {
  title: string;
  right?: boolean;
  mono?: boolean;
  cell: (row: T) => ComponentChildren;
}

export function PlainTable<T>(props: {
  label: string;
  columns: PlainColumn<T>[];
  rows: T[];
  id: (row: T) => string | number;
}) {
  const look = (column: PlainColumn<T>) => [column.right && "right", column.mono && "mono"].filter(Boolean).join(" ") || undefined;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={props.label}>
      <table class="plain">
        <thead>
          <tr>
            {props.columns.map((column) => (
              <th key={column.title} scope="col" class={column.right ? "right" : undefined}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody class="num">
          {props.rows.map((row) => (
            <tr key={props.id(row)}>
              {props.columns.map((column, index) =>
                index === 0 ? (
                  <th key={column.title} scope="row" class={look(column)}>
                    {column.cell(row)}
                  </th>
                ) : (
                  <td key={column.title} class={look(column)}>
                    {column.cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
