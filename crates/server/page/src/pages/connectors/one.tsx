// One connector: its state, its tasks with their traces, its configuration with secrets masked.

import { useEffect, useState } from "preact/hooks";
import { get, messageOf, part } from "../../api/client";
import type { Connector, ConnectorTask } from "../../api/types";
import { useAsked } from "../../api/use";
import { link } from "../../app/router";
import { Shell } from "../../app/shell";
import { Code, Facts, Notice, Panel, Tag } from "../../parts/basics";
import { act, ConnectorButtons } from "./actions";
import { fromText, toText } from "./config";
import { stateTone } from "./states";

const LOOK_MS = 2000;

export function ConnectorPage({ name }: { name: string }) {
  const asked = useAsked((signal) => get<Connector>(`api/connectors/${part(name)}`, undefined, signal), [name], LOOK_MS);
  const connector = asked.value;
  return (
    <Shell crumbs={[{ name: "Connectors", href: link(["connectors"]) }, { name }]}>
      {Boolean(asked.error) && <Notice tone="bad" title={messageOf(asked.error)} alert />}
      {connector && (
        <>
          <Panel
            title={
              <Tag tone={stateTone(connector.state)} dot>
                {connector.state.toLowerCase()}
              </Tag>
            }
            aside={<ConnectorButtons connector={connector} />}
          >
            <Facts
              of={[
                ["Type", connector.type],
                ["Class", <code>{connector.config["connector.class"]}</code>],
                ["Worker", <code>{connector.worker}</code>],
              ]}
            />
            {connector.trace && <Trace text={connector.trace} label="the connector's trace" />}
          </Panel>
          <Tasks connector={connector} />
          <Configuration connector={connector} again={asked.again} />
        </>
      )}
    </Shell>
  );
}

function Tasks({ connector }: { connector: Connector }) {
  return (
    <Panel title="Tasks" flush>
      <ul class="job">
        {connector.tasks.map((task) => (
          <Task key={task.id} connector={connector} task={task} />
        ))}
        {connector.tasks.length === 0 && <li class="muted">No task runs.</li>}
      </ul>
    </Panel>
  );
}

function Task({ connector, task }: { connector: Connector; task: ConnectorTask }) {
  const name = `Task ${task.id}`;
  const restart = () =>
    act(`${name} was not restarted`, `${name} is being restarted`, `api/connectors/${part(connector.name)}/tasks/${task.id}/restart`);
  return (
    <li>
      <div class="row wrap">
        <b>{name}</b>
        <Tag tone={stateTone(task.state)} dot>
          {task.state.toLowerCase()}
        </Tag>
        <code class="muted">{task.worker}</code>
        <span class="grow" />
        <button type="button" onClick={() => void restart()}>
          Restart {name.toLowerCase()}
        </button>
      </div>
      {task.trace && <Trace text={task.trace} label={`the trace of ${name.toLowerCase()}`} />}
    </li>
  );
}

/** The first line says it; the rest is for whom the first line does not help. */
function Trace({ text, label }: { text: string; label: string }) {
  const [first = "", ...rest] = text.split("\n");
  return (
    <div class="stack tight">
      <Notice tone="bad" title={first} />
      {rest.length > 0 && (
        <details>
          <summary>Whole trace</summary>
          <Code text={text} label={label} />
        </details>
      )}
    </div>
  );
}

function Configuration({ connector, again }: { connector: Connector; again: () => void }) {
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => setText(null), [connector.name]);
  const save = async () => {
    const config = fromText(text ?? "");
    if (typeof config === "string") return setError(config);
    setError(null);
    const path = `api/connectors/${part(connector.name)}/config`;
    if (await act("The configuration was not taken", `${connector.name} has its new configuration`, path, { config })) {
      setText(null);
      again();
    }
  };
  if (text === null) {
    return (
      <Panel
        title="Configuration"
        flush
        aside={
          <button type="button" onClick={() => setText(toText(connector.config))}>
            Edit
          </button>
        }
      >
        <div class="scroller">
          <table class="plain roomy" aria-label="Configuration">
            <tbody>
              {Object.entries(connector.config).map(([key, value]) => (
                <tr key={key}>
                  <th scope="row" class="mono">
                    {key}
                  </th>
                  <td class="mono">{value}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
    );
  }
  return (
    <Panel title="Configuration">
      <div class="stack">
        <label class="field">
          <span>JSON; a value of ******** keeps what is set</span>
          <textarea class="mono" rows={18} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        {error && <Notice tone="bad" title={error} alert />}
        <div class="row">
          <button type="button" class="primary" onClick={() => void save()}>
            Save
          </button>
          <button type="button" onClick={() => setText(null)}>
            Cancel
          </button>
        </div>
      </div>
    </Panel>
  );
}
