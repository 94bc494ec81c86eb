// The login: one password, asked for only where the console is configured to.

import { useState } from "preact/hooks";
import { messageOf } from "../api/client";
import { logIn, session } from "../api/session";
import { Mark } from "../app/icons";
import { Field, Notice } from "../parts/basics";

export function LoginPage() {
  const [password, setPassword] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await logIn(password);
    } catch (failure) {
      setError(messageOf(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <form class="panel" onSubmit={submit}>
        <h1 class="brand">
          <Mark /> walhouse
        </h1>
        {session.value?.login === "token_only" ? (
          <Notice tone="warn" title="This console knows programs only">
            <div>It has a token and no password. Set a password in the section [console] to look at it here.</div>
          </Notice>
        ) : (
          <>
            <Field label="Password of this console">
              <input
                type="password"
                autocomplete="current-password"
                autofocus
                required
                value={password}
                onInput={(event) => setPassword(event.currentTarget.value)}
              />
            </Field>
            <button type="submit" class="primary" disabled={busy}>
              Log in
            </button>
          </>
        )}
        {error && <Notice tone="bad" title={error} alert />}
      </form>
    </main>
  );
}
