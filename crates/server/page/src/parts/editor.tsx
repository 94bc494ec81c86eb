// A place to write SQL: a plain text area, with the same text in colours behind it.

import { useRef } from "preact/hooks";
import { pieces } from "../lib/sql";

interface Props {
  value: string;
  onInput: (value: string) => void;
  onRun: () => void;
  label: string;
}

const MIN_LINES = 4;
const MAX_LINES = 18;

export function Editor({ value, onInput, onRun, label }: Props) {
  const behind = useRef<HTMLPreElement>(null);
  const lines = Math.min(MAX_LINES, Math.max(MIN_LINES, value.split("\n").length + 1));
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onRun();
    }
  };
  return (
    <div class="editor">
      <pre ref={behind} aria-hidden="true">
        <Coloured sql={value} />
        {"\n"}
      </pre>
      <textarea
        class="mono"
        rows={lines}
        value={value}
        aria-label={label}
        aria-keyshortcuts="Control+Enter"
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        onInput={(event) => onInput(event.currentTarget.value)}
        onScroll={(event) => {
          if (behind.current) behind.current.scrollTop = event.currentTarget.scrollTop;
        }}
        onKeyDown={onKey}
      />
    </div>
  );
}

export function Coloured({ sql }: { sql: string }) {
  return (
    <>
      {pieces(sql).map((piece, index) => (piece.kind === "other" || piece.kind === "word" ? piece.text : <span key={index} class={`sql-${piece.kind}`}>{piece.text}</span>))}
    </>
  );
}
