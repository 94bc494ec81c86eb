// What can be done to a table, and the questions before it is done.

import { useState } from "preact/hooks";
import { part, send } from "../../api/client";
import { nameOf } from "../../api/live";
import { can } from "../../api/session";
import type { TableCommand, TablePhase, TableRow } from "../../api/types";
import { go } from "../../app/router";
import { complain, say } from "../../app/toasts";
import { Ask, type Question } from "../../parts/dialog";
import { Menu, type Action } from "../../parts/menu";

interface Choice {
  command: TableCommand;
  name: string;
  /** In which phases it makes sense. */
  phases: TablePhase[];
  done: string;
  question: string;
}

const CHOICES: Choice[] = [
  {
    command: "pause",
    name: "Pause",
    phases: ["live", "copying", "pending"],
    done: "is being paused",
    question:
      "Its changes are followed no longer; its rows in ClickHouse stay as they are. To resume it, it is copied again. The other tables go on.",
  },
  {
    command: "resume",
    name: "Resume",
    phases: ["paused", "stopped"],
    done: "is being resumed",
    question: "It is copied anew, then its changes are followed again. Readers see the old rows until the new ones stand.",
  },
  {
    command: "resync",
    name: "Resync",
    phases: ["live", "stopped", "paused"],
    done: "is being copied anew",
    question: "It is copied anew, whatever it holds now. Readers see the old rows until the new ones stand; its history is kept.",
  },
];

/** Sends a command and says how that went. */
async function command(table: TableRow, choice: Choice): Promise<void> {
  const name = nameOf(table);
  try {
    await send<void>("POST", `api/tables/${part(table.schema)}/${part(table.name)}/${choice.command}`);
    say(`${name} ${choice.done}`);
  } catch (error) {
    complain(`${choice.name} of ${name} was not taken`, error);
  }
}

export async function verify(tables: { schema: string; name: string }[] | null): Promise<void> {
  try {
    await send<unknown>("POST", "api/verify", { tables });
    go(["verify"]);
  } catch (error) {
    complain("The comparison did not begin", error);
  }
}

function questionOf(table: TableRow, choice: Choice): Question {
  return {
    title: `${choice.name} ${nameOf(table)}?`,
    text: choice.question,
    action: choice.name,
    onYes: () => command(table, choice),
  };
}

function actionsOf(table: TableRow, ask: (question: Question) => void): Action[] {
  const commands = CHOICES.map((choice) => ({
    name: choice.name,
    disabled: !can("commands") || !choice.phases.includes(table.phase),
    run: () => ask(questionOf(table, choice)),
  }));
  const only = [{ schema: table.schema, name: table.name }];
  return [...commands, { name: "Verify", disabled: !can("verify"), run: () => void verify(only) }];
}

export function TableMenu({ table }: { table: TableRow }) {
  const [question, setQuestion] = useState<Question | null>(null);
  return (
    <>
      <Menu label={`Actions for ${nameOf(table)}`} actions={actionsOf(table, setQuestion)} />
      {question && <Ask question={question} onClose={() => setQuestion(null)} />}
    </>
  );
}

export function TableButtons({ table }: { table: TableRow }) {
  const [question, setQuestion] = useState<Question | null>(null);
  return (
    <>
      {actionsOf(table, setQuestion)
        .filter((action) => !action.disabled)
        .map((action) => (
          <button key={action.name} type="button" onClick={action.run}>
            {action.name}
          </button>
        ))}
      {question && <Ask question={question} onClose={() => setQuestion(null)} />}
    </>
  );
}
