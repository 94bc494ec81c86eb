// The page's few drawings, 16 by 16, in the colour of the text.

const PATHS = {
  overview: "M1.5 8h3l2-4.5 3 9 2-4.5h3",
  tables: "M2 3h12v10H2zM2 6.5h12M6 6.5V13",
  query: "M2.5 4l4 4-4 4M8 12.5h5.5",
  verify: "M2.5 8.5l3.5 3.5 7.5-8",
  topics: "M2.5 3.5h11M2.5 6.5h7M2.5 9.5h11M2.5 12.5h7",
  connectors: "M5 2v4M11 2v4M3.5 6h9v2a4.5 4.5 0 0 1-9 0zM8 12.5V15",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  moon: "M13 9.5A5.5 5.5 0 1 1 6.5 3a4.5 4.5 0 0 0 6.5 6.5z",
  auto: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5l3 3",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  play: "M4.5 3v10l8-5z",
  stop: "M4 4h8v8H4z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill={name === "play" || name === "stop" ? "currentColor" : "none"}
        stroke="currentColor"
        stroke-width={name === "more" ? 2.2 : 1.4}
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}

export function Mark() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path d="M4 14 16 4l12 10v14H4z" fill="currentColor" class="is-busy" />
      <path d="M9 15h14v2.4H9zM9 19.2h10v2.4H9zM9 23.4h12v2.4H9z" class="mark-lines" />
    </svg>
  );
}
