// What can be done to a table, and the questions before it is done.

import { useState } from "preact/hooks";
import { nameOf } from "../../api/live";
import type { TableRow } from "../../api/types";
import { go } from "../../app/router";
import { Ask, type Question } from "../../parts/dialog";
import { Menu, type Action } from "../../parts/menu";

export function TableMenu({ table }: { table: TableRow }) {
  const [question, setQuestion] = useState<Question | null>(null);
  return (
    <>
      <Menu label={`Actions for ${nameOf(table)}`} actions={actionsOf(table, setQuestion)} />
      {question && <Ask question={question} onClose={() => setQuestion(null)} />}
    </>
  );
}

export function actionsOf(table: TableRow, _ask: (question: Question) => void): Action[] {
  return [{ name: "Open", run: () => go(["tables", nameOf(table)]) }];
}
