// SQL as pieces of one kind each, for colouring. It knows no grammar: words, strings, numbers, comments.

export type PieceKind = "word" | "keyword" | "function" | "string" | "number" | "comment" | "other";

export interface Piece {
  kind: PieceKind;
  text: string;
}

const KEYWORDS = new Set(
  (
    "select from where prewhere group order by having limit offset with as and or not in is null like ilike between " +
    "join left right inner outer full cross any all asof on using union distinct case when then else end asc desc " +
    "final sample array settings format interval exists true false over partition rows range describe show explain " +
    "tables databases create table columns totals rollup cube fill window qualify except intersect"
  ).split(" "),
);

const PIECE = /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^'\\]|\\.|'')*(?:'|$))|(`[^`]*`|"[^"]*")|(\b\d[\d.eE_]*\b)|([A-Za-z_]\w*)|(\s+|.)/gy;

export function pieces(sql: string): Piece[] {
  const found: Piece[] = [];
  for (const match of sql.matchAll(PIECE)) {
    const [text, comment, string, quoted, number, word] = match;
    const after = sql.charAt((match.index ?? 0) + text.length);
    const kind = comment
      ? "comment"
      : string
        ? "string"
        : quoted
          ? "word"
          : number
            ? "number"
            : word
              ? kindOf(word, after)
              : "other";
    const last = found.at(-1);
    if (last?.kind === kind) last.text += text;
    else found.push({ kind, text });
  }
  return found;
}

function kindOf(word: string, after: string): PieceKind {
  if (KEYWORDS.has(word.toLowerCase())) return "keyword";
  return after === "(" ? "function" : "word";
}
