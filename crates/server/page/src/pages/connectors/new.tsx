// A new connector: the JSON that people post to Connect, checked by the worker before it is made.

import { useState } from "preact/hooks";
import { messageOf, send } from "../../api/client";
import { go, link } from "../../app/router";
import { Shell } from "../../app/shell";
import { Field, Notice, Panel } from "../../parts/basics";
import { act } from "./actions";
import { EXAMPLE, parse, type Draft } from "./config";

/** What of the worker's answer to a check is shown. */
interface Validation {
  error_count?: number;
  configs?: { value?: { name?: string; errors?: string[] } }[];
}

export function NewConnectorPage() {
  const [name, setName] = useState("");
  const [text, setText] = useState(EXAMPLE);
  const [faults, setFaults] = useState<string[] | null>(null);

  const draft = (): Draft | null => {
    const read = parse(text);
    if (typeof read !== "string") return { name: name.trim() || read.name, config: read.config };
    setFaults([read]);
    return null;
  };
  const check = async () => {
    const read = draft();
    if (!read) return;
    try {
      const config = read.name ? { name: read.name, ...read.config } : read.config;
      setFaults(faultsOf(await send<Validation>("POST", "api/connector-plugins/validate", { config })));
    } catch (error) {
      setFaults([messageOf(error)]);
    }
  };
  const create = async (event: Event) => {
    event.preventDefault();
    const read = draft();
    if (!read) return;
    if (!read.name) return setFaults(["a connector needs a name"]);
    if (await act(`${read.name} was not made`, `${read.name} is made`, "api/connectors", read)) go(["connectors", read.name]);
  };
  return (
    <Shell crumbs={[{ name: "Connectors", href: link(["connectors"]) }, { name: "New connector" }]}>
      <Panel>
        <form class="stack" onSubmit={create}>
          <Field label="Name (or the name in the JSON)">
            <input class="mono" value={name} autocomplete="off" spellcheck={false} onInput={(event) => setName(event.currentTarget.value)} />
          </Field>
          <label class="field">
            <span>Configuration as JSON, as it is posted to Connect</span>
            <textarea class="mono" rows={20} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
          </label>
          {faults && <Faults faults={faults} />}
          <div class="row">
            <button type="submit" class="primary">
              Create
            </button>
            <button type="button" onClick={() => void check()}>
              Check
            </button>
          </div>
        </form>
      </Panel>
    </Shell>
  );
}

function faultsOf(answer: Validation): string[] {
  return (answer.configs ?? []).flatMap(({ value }) => (value?.errors ?? []).map((error) => `${value?.name}: ${error}`));
}

function Faults({ faults }: { faults: string[] }) {
  if (faults.length === 0) return <Notice tone="ok" title="The worker takes this configuration" />;
  return (
    <Notice tone="bad" title={faults.length === 1 ? "One thing is wrong" : `${faults.length} things are wrong`} alert>
      <ul>
        {faults.map((fault) => (
          <li key={fault}>{fault}</li>
        ))}
      </ul>
    </Notice>
  );
}
