// Signing in and out. The key is sent once and kept nowhere: the browser has a cookie that no script can read.

import { byId, say } from "./dom.js";

const SESSION = "/admin/session";

export class Door {
  /** `entered` is called whenever somebody has come in. */
  constructor(entered) {
    this.entered = entered;
    byId("login-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.signIn(byId("key").value);
    });
  }

  /** In, where there is a session or a key in the address (`/login#key`); else the form, or how to make a key. */
  async enter() {
    if (location.pathname === "/login") {
      const key = location.hash.slice(1);
      history.replaceState(null, "", "/");
      if (key) return this.signIn(decoded(key));
    }
    const session = await ask("GET");
    if (session.signed_in) this.pass();
    else if (session.configured === false) byId("unconfigured").hidden = false;
    else this.open(session.error ?? "");
    return undefined;
  }

  open(reason) {
    say(byId("login-reason"), reason);
    byId("login").hidden = false;
    byId("key").focus();
  }

  async signIn(key) {
    const button = byId("login-form").querySelector("button");
    button.disabled = true;
    const session = await ask("POST", { key });
    button.disabled = false;
    if (session.signed_in) {
      byId("key").value = "";
      this.pass();
      byId("main").focus({ preventScroll: true });
    } else {
      this.open("");
      say(byId("login-error"), session.error);
    }
  }

  async leave() {
    await ask("DELETE");
    this.open("You are signed out.");
  }

  pass() {
    say(byId("login-error"), "");
    byId("login").hidden = true;
    byId("unconfigured").hidden = true;
    this.entered();
  }
}

/** A key as it was written, whether the browser has encoded it or not. */
function decoded(key) {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

/** What the gateway says of the session; `error` is a sentence. */
async function ask(method, body) {
  try {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const response = await fetch(SESSION, { method, headers, body: body && JSON.stringify(body) });
    const said = await response.json();
    const wait = response.headers.get("retry-after");
    return response.ok ? said : { error: said.error.message + (wait ? ` (${wait} s)` : "") };
  } catch {
    return { error: "The gateway can't be reached." };
  }
}
