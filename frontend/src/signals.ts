// The Signal API (WebAuthn Level 3 section 5.1.10): password managers forget what is gone here.

import { data } from "./page";

interface Signals {
  signalUnknownCredential?(options: unknown): Promise<void>;
  signalAllAcceptedCredentials?(options: unknown): Promise<void>;
}

export async function tellPasswordManager(): Promise<void> {
  const api = (window as { PublicKeyCredential?: Signals }).PublicKeyCredential;
  const unknown = data<unknown>("script[data-su-unknown]");
  const accepted = data<unknown>("script[data-su-accepted]");
  try {
    if (unknown) await api?.signalUnknownCredential?.(unknown);
    if (accepted) await api?.signalAllAcceptedCredentials?.(accepted);
  } catch {
    // A hint that was not taken changes nothing.
  }
}
