// Small pieces: states, notices, fields, copying, code, what a request is at.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "../app/icons";

/** How something is: its colour and its shape. */
export type Tone = "ok" | "busy" | "warn" | "bad" | "idle";

export function Dot({ tone }: { tone: Tone }) {
  return <span class={`dot is-${tone}`} aria-hidden="true" />;
}

export function Tag({ tone = "idle", dot, children }: { tone?: Tone; dot?: boolean; children: ComponentChildren }) {
  return (
    <span class={`tag is-${tone}`}>
      {dot && <Dot tone={tone} />}
      {children}
    </span>
  );
}

export function Notice(props: { tone: Tone; title: ComponentChildren; children?: ComponentChildren; alert?: boolean }) {
  return (
    <div class={`notice is-${props.tone}`} role={props.alert ? "alert" : undefined}>
      <Dot tone={props.tone} />
      <div class="title">{props.title}</div>
      {props.children}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

export function Panel(props: {
  title?: ComponentChildren;
  aside?: ComponentChildren;
  flush?: boolean;
  class?: string;
  children: ComponentChildren;
}) {
  return (
    <section class={`panel ${props.class ?? ""}`}>
      {props.title && (
        <header>
          <h2>{props.title}</h2>
          {props.aside && <div class="aside row wrap">{props.aside}</div>}
        </header>
      )}
      {props.flush ? props.children : <div class="body">{props.children}</div>}
    </section>
  );
}

/** Names and values; a row without a value is left out. */
export function Facts({ of }: { of: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {of
        .filter(([, value]) => value != null && value !== false && value !== "")
        .map(([name, value]) => [<dt key={`${name}-t`}>{name}</dt>, <dd key={`${name}-d`}>{value}</dd>])}
    </dl>
  );
}

export function Field({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <label class="field">
      <span>{label}</span>
      {children}
    </label>
  );
}

export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" class="quiet icon" aria-label={done ? "Copied" : label} title={label} onClick={copy}>
      {done ? <span class="is-ok">✓</span> : <Icon name="copy" />}
    </button>
  );
}

/** Text to read and to copy. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div class="codebox">
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <Copy text={text} label={`Copy ${label}`} />
    </div>
  );
}

export function Bar({ value, of, tone = "busy", label }: { value: number; of: number; tone?: Tone; label: string }) {
  const part = of > 0 ? Math.min(1, Math.max(0, value / of)) : 0;
  const shown = Math.round(part * 100);
  return (
    <div class="bar" role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={shown}>
      <i class={`is-${tone}`} style={{ width: `${part * 100}%` }} />
    </div>
  );
}

/** Places beside each other under one heading. */
export function Tabs({ label, tabs }: { label: string; tabs: { name: string; href: string; current: boolean }[] }) {
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map((tab) => (
        <a key={tab.href} href={tab.href} aria-current={tab.current ? "page" : undefined}>
          {tab.name}
        </a>
      ))}
    </nav>
  );
}

/** One of several; each with a number. */
export function Chips<T extends string>(props: {
  label: string;
  options: { value: T; name: string; count?: number }[];
  value: T;
  onChange: (value: T) => void;
}) {
  return (
    <div class="chips" role="group" aria-label={props.label}>
      {props.options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === props.value}
          onClick={() => props.onChange(option.value)}
        >
          {option.name}
          {option.count !== undefined && <span class="num">{option.count}</span>}
        </button>
      ))}
    </div>
  );
}

export function Filter(props: { value: string; onInput: (value: string) => void; label: string }) {
  return (
    <div class="search">
      <input
        type="search"
        data-filter
        value={props.value}
        placeholder={props.label}
        aria-label={props.label}
        spellcheck={false}
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
      {!props.value && <kbd aria-hidden="true">/</kbd>}
    </div>
  );
}
