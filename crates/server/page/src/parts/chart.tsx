// A time chart: uPlot in a frame with a legend that follows the cursor. Charts of a page move their cursors together.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { colour, colours } from "../app/theme";
import { clock } from "../lib/format";

export interface Series {
  name: string;
  /** Which of the six chart colours. */
  colour: 1 | 2 | 3 | 4 | 5 | 6;
  values: (number | null)[];
  fill?: boolean;
  dashed?: boolean;
}

interface Props {
  title: string;
  /** Seconds since 1970, or plain numbers. */
  at: number[];
  series: Series[];
  format: (value: number | null | undefined) => string;
  height?: number;
  /** Same window for all charts, so that one look compares them. */
  range?: [number, number];
  plain?: boolean;
  /** Its values are bytes. */
  binary?: boolean;
  bars?: boolean;
  /** It reaches over days: dates on its axis. */
  days?: boolean;
  /** The axis reaches at least this high: a quiet line is not blown up to a mountain. */
  atLeast?: number;
  note?: string;
}

/** Steps of an axis of bytes, so that its numbers are round. */
const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power);
const FONT = '11px "Inter Variable", sans-serif';

export function Chart(props: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const shape = props.series.map((series) => `${series.name}${series.colour}${series.fill}`).join() + props.bars;
  const enough = props.at.length > 1;
  const height = props.height ?? 130;
  const paint = colours.value;

  useEffect(() => {
    const element = holder.current;
    if (!element || !enough) return;
    const width = Math.max(80, element.clientWidth - 8);
    const chart = new uPlot(options(props, width, height, setCursor), data(props), element);
    plot.current = chart;
    const observer = new ResizeObserver(() => {
      chart.setSize({ width: Math.max(80, element.clientWidth - 8), height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [shape, paint, enough, height]);

  useEffect(() => {
    plot.current?.setData(data(props), false);
    plot.current?.setScale("x", scale(props));
  }, [props.at, props.series, props.range?.[1]]);

  const shown = (values: (number | null)[]) => (cursor === null ? values.findLast((value) => value != null) : values[cursor]);
  return (
    <div class="chart" role="img" aria-label={describe(props)}>
      <div class="caption">
        <h3>{props.title}</h3>
        {props.note && <span class="note muted clip" title={props.note}>{props.note}</span>}
        <span class="legend">
          {props.series.map((series) => (
            <span key={series.name}>
              <i class={`swatch${series.colour}`} />
              {props.series.length > 1 && <span class="muted">{series.name}</span>}
              {props.format(shown(series.values))}
            </span>
          ))}
        </span>
      </div>
      <div ref={holder} class={`plot ${enough ? "" : "none"}`} style={{ "--plot-height": `${height}px` }}>
        {enough ? null : "Drawn as soon as there are two points."}
      </div>
    </div>
  );
}

function data(props: Props): uPlot.AlignedData {
  return [props.at, ...props.series.map((series) => series.values)] as uPlot.AlignedData;
}

function scale(props: Props): { min: number; max: number } {
  const [from, to] = props.range ?? [props.at[0] ?? 0, props.at.at(-1) ?? 1];
  return { min: from, max: to };
}

/** What a reader who does not see the chart is told. */
function describe(props: Props): string {
  const parts = props.series.map((series) => {
    const values = series.values.filter((value): value is number => value != null);
    const name = props.series.length > 1 ? `${series.name} ` : "";
    return values.length === 0
      ? `${name}no data`
      : `${name}now ${props.format(values.at(-1))}, at most ${props.format(Math.max(...values))}`;
  });
  return `${props.title}: ${parts.join("; ")}`;
}

function options(props: Props, width: number, height: number, onCursor: (at: number | null) => void): uPlot.Options {
  const line = colour("--line");
  const muted = colour("--muted");
  const axis: uPlot.Axis = { stroke: muted, font: FONT, ticks: { show: false }, grid: { stroke: line, width: 1 } };
  return {
    width,
    height,
    padding: [8, 10, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "page" }, points: { size: 5 } },
    scales: {
      x: { time: !props.plain, range: () => [scale(props).min, scale(props).max] },
      y: { range: (_, min, max) => [Math.min(0, min * 1.12), Math.max(max * 1.12, props.atLeast ?? 0) || 1] },
    },
    axes: [
      { ...axis, size: props.days ? 38 : 24, grid: { show: false }, space: 64, ...(props.plain || props.days ? {} : { values: clocks }) },
      {
        ...axis,
        size: 62,
        space: 28,
        values: (_, ticks) => ticks.map((tick) => props.format(tick)),
        ...(props.binary ? { incrs: BINARY } : {}),
      },
    ],
    series: [{}, ...props.series.map((series) => line_(series, props.bars))],
    hooks: { setCursor: [(chart) => onCursor(chart.cursor.idx ?? null)] },
  };
}

function clocks(_: uPlot, ticks: number[], _axis: number, _space: number, step: number): string[] {
  return ticks.map((tick) => clock(tick * 1000).slice(0, step < 60 ? 8 : 5));
}

function line_(series: Series, bars: boolean | undefined): uPlot.Series {
  const stroke = colour(`--s${series.colour}`);
  const paths = bars ? uPlot.paths.bars?.({ size: [0.7, 40] }) : undefined;
  return {
    label: series.name,
    stroke,
    width: bars ? 0 : 1.4,
    fill: bars ? stroke : series.fill ? `color-mix(in srgb, ${stroke} 14%, transparent)` : undefined,
    dash: series.dashed ? [5, 4] : undefined,
    paths,
    points: { show: false },
    spanGaps: false,
  };
}
