// What can be asked for: tables and views of the target, each with its columns once it is opened.

import { useState } from "preact/hooks";
import { get, part } from "../../api/client";
import { nameOf, tables } from "../../api/live";
import type { TableDetail, TableRow } from "../../api/types";
import { Filter } from "../../parts/basics";

/** Beyond so many, filtering is quicker than scrolling. */
const SHOWN = 200;

export function Names({ onPick }: { onPick: (text: string) => void }) {
  const [filter, setFilter] = useState("");
  const wanted = filter.toLowerCase();
  const all = tables.value.filter((table) => table.target && `${nameOf(table)} ${table.target}`.toLowerCase().includes(wanted));
  return (
    <section class="panel side-list" aria-label="Tables and views">
      <div class="body">
        <Filter value={filter} onInput={setFilter} label="Filter tables" />
      </div>
      <div class="names" tabIndex={0} role="group" aria-label="Names to insert">
        {all.slice(0, SHOWN).map((table) => (
          <Name key={nameOf(table)} table={table} onPick={onPick} />
        ))}
        {all.length > SHOWN && <p class="body muted">and {all.length - SHOWN} more</p>}
      </div>
    </section>
  );
}

function Name({ table, onPick }: { table: TableRow; onPick: (text: string) => void }) {
  const [detail, setDetail] = useState<TableDetail | null>(null);
  const load = async (event: Event) => {
    if (!(event.currentTarget as HTMLDetailsElement).open || detail) return;
    try {
      setDetail(await get<TableDetail>(`api/tables/${part(table.schema)}/${part(table.name)}`));
    } catch {
      // The names of its columns are a help, not a must.
    }
  };
  const names = [table.view, table.target].filter((name): name is string => Boolean(name));
  return (
    <details onToggle={load}>
      <summary>{table.target}</summary>
      <ul>
        {names.map((name) => (
          <li key={name}>
            <button type="button" class="link mono" onClick={() => onPick(name)}>
              {name}
            </button>
          </li>
        ))}
        {detail?.layout?.columns.map((column) => (
          <li key={`c-${column.name}`}>
            <button type="button" class="link mono" title={column.clickhouse_type} onClick={() => onPick(column.name)}>
              {column.name}
            </button>
            <span class="muted mono clip">{column.clickhouse_type}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}
