// A button that opens a short list of actions.

import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../app/icons";

export interface Action {
  name: string;
  disabled?: boolean;
  /** Why it is disabled, or what it does. */
  hint?: string;
  run: () => void;
}

export function Menu({ label, actions }: { label: string; actions: Action[] }) {
  const [place, setPlace] = useState<{ top: number; right: number } | null>(null);
  const root = useRef<HTMLDivElement>(null);
  const open = place !== null;

  useEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>("[role=menuitem]:not(:disabled)")?.focus();
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setPlace(null);
    };
    addEventListener("pointerdown", outside);
    addEventListener("scroll", outside, true);
    return () => {
      removeEventListener("pointerdown", outside);
      removeEventListener("scroll", outside, true);
    };
  }, [open]);

  const toggle = (event: MouseEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    setPlace(open ? null : { top: box.bottom + 4, right: innerWidth - box.right });
  };
  const onKey = (event: KeyboardEvent) => {
    const items = [...(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]:not(:disabled)") ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    if (event.key === "Escape") {
      setPlace(null);
      root.current?.querySelector("button")?.focus();
    } else if (event.key === "ArrowDown") items[(at + 1) % items.length]?.focus();
    else if (event.key === "ArrowUp") items[(at - 1 + items.length) % items.length]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="menu" ref={root} onKeyDown={open ? onKey : undefined}>
      <button type="button" class="quiet icon" aria-haspopup="menu" aria-expanded={open} aria-label={label} onClick={toggle}>
        <Icon name="more" />
      </button>
      {place && (
        <div role="menu" aria-label={label} style={{ top: `${place.top}px`, right: `${place.right}px` }}>
          {actions.map((action) => (
            <button
              key={action.name}
              type="button"
              role="menuitem"
              disabled={action.disabled}
              title={action.hint}
              onClick={() => {
                setPlace(null);
                action.run();
              }}
            >
              {action.name}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
