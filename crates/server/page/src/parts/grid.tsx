// A list of any length: a table with a fixed head in a scrolling box, of which only the rows in sight exist.
// Sorting by its heads; arrows, Home, End and Page keys move, Enter opens.

import type { ComponentChildren, TargetedKeyboardEvent } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

export interface Column<Row> {
  key: string;
  /** It only takes the room that is left, and says nothing. */
  filler?: boolean;
  title: string;
  /** More about it, such as its type. */
  hint?: string;
  /** A CSS width; one column without takes what is left. */
  width?: number;
  /** Its width on a phone. */
  small?: number;
  right?: boolean;
  mono?: boolean;
  /** Not shown below this width of the list, in pixels. */
  from?: number;
  cell: (row: Row, now: number) => ComponentChildren;
  /** What to sort by; a column without is not sorted. */
  sort?: (row: Row) => number | string | null | undefined;
}

export interface Order {
  key: string;
  down: boolean;
}

interface Props<Row> {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  id: (row: Row) => string;
  onOpen?: (row: Row) => void;
  order?: Order;
  onOrder?: (order: Order) => void;
  /** Fills the rest of the page; otherwise as high as its rows, up to this many pixels. */
  maxHeight?: number;
  now?: number;
  empty?: ComponentChildren;
}

const OVERSCAN = 8;
const rowHeight = () => (matchMedia("(max-width: 760px)").matches ? 38 : 30);

export function sorted<Row>(rows: Row[], columns: Column<Row>[], order: Order | undefined): Row[] {
  const by = columns.find((column) => column.key === order?.key)?.sort;
  if (!by || !order) return rows;
  const sign = order.down ? -1 : 1;
  return rows
    .map((row) => ({ row, key: by(row) }))
    .sort((a, b) => {
      if (a.key == null || b.key == null) return a.key == null ? (b.key == null ? 0 : 1) : -1;
      if (typeof a.key === "string" || typeof b.key === "string") {
        return sign * String(a.key).localeCompare(String(b.key), "en", { numeric: true });
      }
      return sign * (a.key - b.key);
    })
    .map(({ row }) => row);
}

export function Grid<Row>(props: Props<Row>) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600, width: 1000 });
  const [own, setOwn] = useState<Order | undefined>(props.order);
  const [active, setActive] = useState(0);
  const order = props.onOrder ? props.order : own;
  const height = rowHeight();
  const columns = props.columns.filter((column) => !column.from || view.width >= column.from);
  const widthOf = (column: Column<Row>) => (view.width < 560 ? (column.small ?? column.width) : column.width);
  const rows = useMemo(() => sorted(props.rows, props.columns, order), [props.rows, order?.key, order?.down]);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = () => setView({ top: element.scrollTop, height: element.clientHeight, width: element.clientWidth });
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);

  const first = Math.max(0, Math.floor(view.top / height) - OVERSCAN);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / height) + OVERSCAN);
  const focus = useRef<number | null>(null);
  useEffect(() => {
    if (focus.current === null) return;
    box.current?.querySelector<HTMLElement>(`tr[data-index="${focus.current}"]`)?.focus({ preventScroll: true });
    focus.current = null;
  });

  const moveTo = (index: number) => {
    const element = box.current;
    const next = Math.min(rows.length - 1, Math.max(0, index));
    if (!element || next < 0) return;
    const top = next * height;
    const room = element.clientHeight - height;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height > element.scrollTop + room) element.scrollTop = top + height - room;
    focus.current = next;
    setActive(next);
    setView((before) => ({ ...before, top: element.scrollTop }));
  };
  const onKey = (event: TargetedKeyboardEvent<HTMLElement>, index: number) => {
    if (event.target !== event.currentTarget) return;
    const page = Math.max(1, Math.floor(view.height / height) - 1);
    const moves: Record<string, number> = {
      ArrowDown: index + 1,
      ArrowUp: index - 1,
      PageDown: index + page,
      PageUp: index - page,
      Home: 0,
      End: rows.length - 1,
    };
    const target = moves[event.key];
    const row = rows[index];
    if (target !== undefined) moveTo(target);
    else if (event.key === "Enter" && row !== undefined) props.onOpen?.(row);
    else return;
    event.preventDefault();
  };

  const least = columns.reduce((sum, column) => sum + (widthOf(column) ?? 0), 0);
  const now = props.now ?? Date.now();
  const roving = Math.min(active, Math.max(0, rows.length - 1));
  return (
    <div
      ref={box}
      class={`grid ${props.maxHeight ? "" : "fill"}`}
      style={props.maxHeight ? { maxHeight: `${props.maxHeight}px` } : undefined}
      tabIndex={rows.length === 0 || roving < first || roving >= last ? 0 : -1}
    >
      <table aria-label={props.label} aria-rowcount={rows.length + 1} style={{ minWidth: `${least}px` }}>
        <colgroup>
          {columns.map((column) => (
            <col key={column.key} style={widthOf(column) ? { width: `${widthOf(column)}px` } : undefined} />
          ))}
        </colgroup>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <Head
                key={column.key}
                column={column}
                order={order}
                onOrder={(next) => (props.onOrder ? props.onOrder(next) : setOwn(next))}
              />
            ))}
          </tr>
        </thead>
        <tbody>
          <Spacer height={first * height} />
          {rows.slice(first, last).map((row, offset) => {
            const index = first + offset;
            return (
              <tr
                key={props.id(row)}
                class={props.onOpen ? "can-open" : undefined}
                data-index={index}
                aria-rowindex={index + 2}
                tabIndex={index === roving ? 0 : -1}
                onFocus={() => setActive(index)}
                onKeyDown={(event) => onKey(event, index)}
                onClick={(event) => {
                  if (!(event.target as Element).closest("button, a, input, .menu")) props.onOpen?.(row);
                }}
              >
                {columns.map((column) => (
                  <td key={column.key} class={`${column.right ? "right" : ""} ${column.mono ? "mono" : ""} ${column.title ? "" : "tools"}`}>
                    {column.cell(row, now)}
                  </td>
                ))}
              </tr>
            );
          })}
          <Spacer height={(rows.length - last) * height} />
        </tbody>
      </table>
      {rows.length === 0 && props.empty}
    </div>
  );
}

function Spacer({ height }: { height: number }) {
  if (height <= 0) return null;
  return (
    <tr class="spacer" aria-hidden="true">
      <td style={{ height: `${height}px` }} />
    </tr>
  );
}

function Head<Row>(props: { column: Column<Row>; order: Order | undefined; onOrder: (order: Order) => void }) {
  const { column, order } = props;
  const current = order?.key === column.key;
  const direction = current ? (order?.down ? "descending" : "ascending") : undefined;
  const side = column.right ? "right" : undefined;
  if (column.filler) return <td />;
  if (!column.sort) {
    return (
      <th scope="col" class={side}>
        {column.title || <span class="sr">Actions</span>}
      </th>
    );
  }
  // Numbers are asked for from the largest, names from the first.
  const next = { key: column.key, down: current ? !order?.down : Boolean(column.right) };
  return (
    <th scope="col" class={side} aria-sort={direction}>
      <button type="button" title={column.hint} onClick={() => props.onOrder(next)}>
        {column.title}
      </button>
    </th>
  );
}
