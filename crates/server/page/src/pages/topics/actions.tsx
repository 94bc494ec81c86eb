// What can be done to topics. The server allows none of it unless its configuration does.

import { useState } from "preact/hooks";
import { part } from "../../api/client";
import { can } from "../../api/session";
import { go } from "../../app/router";
import { Field } from "../../parts/basics";
import { Ask, Dialog, type Question } from "../../parts/dialog";
import { Menu } from "../../parts/menu";
import { act } from "../connectors/actions";

export function NewTopic({ onMade }: { onMade: () => void }) {
  const [open, setOpen] = useState(false);
  const [name, setName] = useState("");
  const [partitions, setPartitions] = useState("1");
  const [copies, setCopies] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    const body = { name, partitions: Number(partitions), replication: copies ? Number(copies) : null };
    if (!(await act(`${name} was not made`, `${name} is made`, "api/topics", body))) return;
    setOpen(false);
    onMade();
  };
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        New topic
      </button>
      {open && (
        <Dialog title="New topic" onClose={() => setOpen(false)}>
          <form onSubmit={submit}>
            <h2>New topic</h2>
            <Field label="Name">
              <input class="mono" required value={name} autocomplete="off" spellcheck={false} onInput={(event) => setName(event.currentTarget.value)} />
            </Field>
            <Field label="Partitions">
              <input type="number" min="1" required value={partitions} onInput={(event) => setPartitions(event.currentTarget.value)} />
            </Field>
            <Field label="Copies (empty: the cluster's default)">
              <input type="number" min="1" value={copies} onInput={(event) => setCopies(event.currentTarget.value)} />
            </Field>
            <div class="actions">
              <button type="button" onClick={() => setOpen(false)}>
                Cancel
              </button>
              <button type="submit" class="primary">
                Create
              </button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  );
}

function deletion(name: string): Question {
  return {
    title: `Delete ${name}?`,
    text: "Its messages are gone for good. A topic of a running connector is refused.",
    action: "Delete",
    danger: true,
    type: name,
    onYes: async () => {
      const gone = await act(`${name} was not deleted`, `${name} is deleted`, `api/topics/${part(name)}/delete`, { confirm: name });
      if (gone) go(["topics"]);
    },
  };
}

export function TopicMenu({ name }: { name: string }) {
  const [question, setQuestion] = useState<Question | null>(null);
  const actions = [
    { name: "Messages", run: () => go(["topics", name, "messages"]) },
    { name: "Follow", run: () => go(["topics", name, "messages"], { from: "live" }) },
  ];
  if (can("delete_topics")) actions.push({ name: "Delete", run: () => setQuestion(deletion(name)) });
  return (
    <>
      <Menu label={`Actions for ${name}`} actions={actions} />
      {question && <Ask question={question} onClose={() => setQuestion(null)} />}
    </>
  );
}

export function DeleteTopic({ name }: { name: string }) {
  const [question, setQuestion] = useState<Question | null>(null);
  if (!can("delete_topics")) return null;
  return (
    <>
      <button type="button" class="danger" onClick={() => setQuestion(deletion(name))}>
        Delete
      </button>
      {question && <Ask question={question} onClose={() => setQuestion(null)} />}
    </>
  );
}
