// Jump anywhere: pages and tables by a few letters. And the list of keys.

import { useMemo, useState } from "preact/hooks";
import { nameOf, tables } from "../api/live";
import { Dialog } from "../parts/dialog";
import { overlay } from "./keys";
import { places } from "./places";
import { link } from "./router";

interface Target {
  name: string;
  what: string;
  href: string;
}

const SHOWN = 50;

export function Overlays() {
  if (overlay.value === "palette") return <Palette />;
  if (overlay.value === "help") return <Help />;
  return null;
}

const close = () => {
  overlay.value = "none";
};

function targets(): Target[] {
  const pages = places().map((place) => ({ name: place.name, what: "page", href: link([place.path].filter(Boolean)) }));
  const list = tables.value.map((table) => {
    const name = nameOf(table);
    return { name, what: "table", href: link(["tables", name]) };
  });
  return [...pages, ...list];
}

/** Letters in order; the earlier and the closer together, the better. */
function score(name: string, wanted: string): number | null {
  const text = name.toLowerCase();
  const at = text.indexOf(wanted);
  if (at >= 0) return at;
  let from = 0;
  let spread = 0;
  for (const letter of wanted) {
    const found = text.indexOf(letter, from);
    if (found < 0) return null;
    spread += found - from;
    from = found + 1;
  }
  return 100 + spread;
}

function Palette() {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const found = useMemo(() => {
    const wanted = text.toLowerCase().trim();
    return targets()
      .map((target) => ({ target, score: wanted ? score(target.name, wanted) : 0 }))
      .filter((hit): hit is { target: Target; score: number } => hit.score !== null)
      .sort((a, b) => a.score - b.score)
      .slice(0, SHOWN)
      .map((hit) => hit.target);
  }, [text, tables.value]);
  const open = (target: Target | undefined) => {
    if (target) location.hash = target.href;
    close();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt(Math.min(found.length - 1, at + 1));
    else if (event.key === "ArrowUp") setAt(Math.max(0, at - 1));
    else if (event.key === "Enter") open(found[at]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Jump to a page or a table" class="palette" onClose={close}>
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[at] ? `palette-${at}` : undefined}
        aria-label="Jump to a page or a table"
        placeholder="Jump to a page or a table"
        value={text}
        autofocus
        spellcheck={false}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKey}
      />
      <ul role="listbox" id="palette-list" aria-label="Found">
        {found.map((target, index) => (
          <li
            key={target.href}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === at}
            onClick={() => open(target)}
          >
            <span>{target.name}</span>
            <span class="muted">{target.what}</span>
          </li>
        ))}
        {found.length === 0 && (
          <li role="option" aria-selected="false" class="muted">
            Nothing has these letters
          </li>
        )}
      </ul>
    </Dialog>
  );
}

function Help() {
  const keys: [string, string][] = [
    ...places().map((place): [string, string] => [`g ${place.key}`, place.name]),
    ["/", "Filter the list"],
    ["Ctrl K", "Jump to a page or a table"],
    ["↑ ↓ Home End", "Move in a list"],
    ["Enter", "Open the row"],
    ["Ctrl Enter", "Run the query"],
    ["Esc", "Close"],
    ["?", "This list"],
  ];
  return (
    <Dialog title="Keys" onClose={close}>
      <div class="dialog-body">
        <h2>Keys</h2>
        <dl class="facts">
          {keys.map(([key, what]) => [
            <dt key={key}>
              <kbd>{key}</kbd>
            </dt>,
            <dd key={what}>{what}</dd>,
          ])}
        </dl>
        <div class="actions">
          <button type="button" onClick={close}>
            Close
          </button>
        </div>
      </div>
    </Dialog>
  );
}
