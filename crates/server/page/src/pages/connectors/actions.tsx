// What can be done to a connector.

import { useState } from "preact/hooks";
import { part, send } from "../../api/client";
import type { Connector } from "../../api/types";
import { go } from "../../app/router";
import { complain, say } from "../../app/toasts";
import { Ask, type Question } from "../../parts/dialog";
import { Menu, type Action } from "../../parts/menu";

const COMMANDS = [
  { command: "pause", name: "Pause", when: ["RUNNING", "UNASSIGNED"], done: "is being paused" },
  { command: "resume", name: "Resume", when: ["PAUSED", "STOPPED"], done: "is being resumed" },
  { command: "restart", name: "Restart", when: ["RUNNING", "FAILED", "PAUSED", "UNASSIGNED"], done: "is being restarted" },
  { command: "stop", name: "Stop", when: ["RUNNING", "FAILED", "PAUSED", "UNASSIGNED"], done: "is being stopped" },
];

export async function act(what: string, done: string, path: string, body?: unknown): Promise<boolean> {
  try {
    await send<void>("POST", path, body);
    say(done);
    return true;
  } catch (error) {
    complain(what, error);
    return false;
  }
}

function actionsOf(connector: Connector, ask: (question: Question) => void): Action[] {
  const path = `api/connectors/${part(connector.name)}`;
  const commands = COMMANDS.map(({ command, name, when, done }) => ({
    name,
    disabled: !when.includes(connector.state),
    run: () => void act(`${name} of ${connector.name} was not taken`, `${connector.name} ${done}`, `${path}/${command}`),
  }));
  const remove = async () => {
    const gone = await act(`${connector.name} was not deleted`, `${connector.name} is deleted`, `${path}/delete`, { confirm: connector.name });
    if (gone) go(["connectors"]);
  };
  const question: Question = {
    title: `Delete ${connector.name}?`,
    text: "Its tasks end and its configuration is gone. Its topics and its replication slot stay; a slot that nobody reads keeps Postgres' log until it is dropped.",
    action: "Delete",
    danger: true,
    type: connector.name,
    onYes: remove,
  };
  return [...commands, { name: "Delete", run: () => ask(question) }];
}

export function ConnectorMenu({ connector }: { connector: Connector }) {
  const [question, setQuestion] = useState<Question | null>(null);
  return (
    <>
      <Menu label={`Actions for ${connector.name}`} actions={actionsOf(connector, setQuestion)} />
      {question && <Ask question={question} onClose={() => setQuestion(null)} />}
    </>
  );
}

export function ConnectorButtons({ connector }: { connector: Connector }) {
  const [question, setQuestion] = useState<Question | null>(null);
  return (
    <>
      {actionsOf(connector, setQuestion)
        .filter((action) => !action.disabled)
        .map((action) => (
          <button key={action.name} type="button" class={action.name === "Delete" ? "danger" : undefined} onClick={action.run}>
            {action.name}
          </button>
        ))}
      {question && <Ask question={question} onClose={() => setQuestion(null)} />}
    </>
  );
}
