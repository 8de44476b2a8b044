// A passkey ceremony: the browser's dialog between a press of the button and the real form.

import {
  browserSupportsWebAuthn,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
  startAuthentication,
  startRegistration,
  WebAuthnAbortService,
} from "@simplewebauthn/browser";
import { data, first } from "./page";

export type Failure = "cancelled" | "unsupported" | "exists" | "misconfigured";

// Browsers say NotAllowedError for nearly everything, on purpose: whoever asks must not learn
// which passkeys there are.
export function failureOf(error: unknown): Failure {
  const name = error instanceof Error ? error.name : "";
  if (name === "InvalidStateError") return "exists";
  if (name === "SecurityError") return "misconfigured";
  if (name === "NotSupportedError") return "unsupported";
  return "cancelled";
}

export function offerPasskey(form: HTMLFormElement): void {
  const start = first<HTMLButtonElement>("[data-su-start]", form);
  if (!start) return;
  const parts = new Parts(form, start);
  if (!browserSupportsWebAuthn()) {
    start.disabled = true;
    parts.fail("unsupported");
    return;
  }
  form.addEventListener("submit", (event) => {
    if (parts.credential.value) return;
    event.preventDefault();
    void run(form, parts);
  });
  first("[data-su-abort]", form)?.addEventListener("click", () => {
    WebAuthnAbortService.cancelCeremony();
  });
}

async function run(form: HTMLFormElement, parts: Parts): Promise<void> {
  parts.wait();
  try {
    parts.credential.value = JSON.stringify(await ceremony(form));
  } catch (error) {
    parts.fail(failureOf(error));
    return;
  }
  parts.confirm();
  form.requestSubmit();
}

function ceremony(form: HTMLFormElement): Promise<unknown> {
  const options = data<unknown>("script[data-su-options]");
  return form.dataset.suPasskey === "create"
    ? startRegistration({ optionsJSON: options as PublicKeyCredentialCreationOptionsJSON })
    : startAuthentication({ optionsJSON: options as PublicKeyCredentialRequestOptionsJSON });
}

// What is seen of a ceremony: the button, then "waiting", then how it went.
class Parts {
  readonly credential: HTMLInputElement;
  private failures = 0;

  constructor(
    private readonly form: HTMLFormElement,
    private readonly start: HTMLButtonElement,
  ) {
    this.credential = form.elements.namedItem("credential") as HTMLInputElement;
  }

  wait(): void {
    this.show(null);
    this.toggle("[data-su-waiting]", true);
    this.start.hidden = true;
    first("[data-su-abort]", this.form)?.focus();
  }

  confirm(): void {
    this.toggle("[data-su-waiting]", false);
    this.toggle("[data-su-confirmed]", true);
  }

  fail(failure: Failure): void {
    this.toggle("[data-su-waiting]", false);
    this.start.hidden = false;
    const text =
      first(`[data-su-failure="${failure}"]`, this.form) ??
      first('[data-su-failure="cancelled"]', this.form);
    this.show(text);
    text?.focus();
    this.failures += 1;
    // After two failures the other way becomes the one that is offered first, where there is one.
    if (this.failures > 1 && first("[data-su-another]")) {
      first("[data-su-answer]")?.classList.add("su-answer-failing");
    }
  }

  private show(text: HTMLElement | null): void {
    for (const each of this.form.querySelectorAll<HTMLElement>("[data-su-failure]")) {
      each.hidden = each !== text;
    }
  }

  private toggle(selector: string, visible: boolean): void {
    const element = first(selector, this.form);
    if (element) element.hidden = !visible;
  }
}
