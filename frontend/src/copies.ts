// Keeping what is shown once: copy it, save it as a file, print it.

import { all, first } from "./page";

export function codesText(): string {
  return all("[data-su-codes] code")
    .map((code) => code.textContent ?? "")
    .join("\n");
}

export function offerCopies(): void {
  for (const button of all<HTMLButtonElement>("[data-su-copy]")) {
    button.addEventListener("click", async () => {
      const source = first("[data-su-copy-source]")?.textContent?.replace(/\s+/g, "");
      try {
        await navigator.clipboard.writeText(codesText() || source || "");
      } catch {
        // Without permission the text is still there to be selected.
        return;
      }
      const copied = first("[data-su-copied]");
      if (copied) copied.hidden = false;
    });
  }
}

export function offerDownload(): void {
  const button = first<HTMLButtonElement>("[data-su-download]");
  button?.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${codesText()}\n`], { type: "text/plain" }));
    link.download = button.dataset.suDownload ?? "recovery-codes.txt";
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

export function offerPrint(): void {
  first("[data-su-print]")?.addEventListener("click", () => window.print());
}
