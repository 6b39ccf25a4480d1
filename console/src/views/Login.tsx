import { useRef, useState } from "preact/hooks";
import { loginError, signIn } from "../state";
import { Mosaic } from "../ui/Icon";

export function Login() {
  const input = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const secret = input.current?.value.trim();
    if (!secret) return;
    setBusy(true);
    await signIn(secret);
    setBusy(false);
  };
  return (
    <main class="login">
      <form onSubmit={submit} aria-labelledby="login-title">
        <Mosaic size={56} />
        <h1 id="login-title">Tessera</h1>
        <p>One fleet of GPUs, a piece for everyone.</p>
        <label for="token">Token</label>
        <input
          id="token"
          ref={input}
          type="password"
          autocomplete="off"
          spellcheck={false}
          autofocus
          required
          aria-describedby="token-note token-error"
        />
        <button class="button primary" disabled={busy}>
          {busy ? "Signing in…" : "Sign in"}
        </button>
        <p id="token-error" class="error" role="alert">
          {loginError.value}
        </p>
        <p id="token-note" class="note">
          <code>tessera up</code> prints one and writes it to <code>context.yaml</code> in its data folder; for
          others an admin makes one with <code>tessera token NAME --team TEAM</code>. It is kept until this
          tab is closed.
        </p>
      </form>
    </main>
  );
}
