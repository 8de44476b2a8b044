// How long a challenge stays open: told quietly every minute, and aloud before the end.

import { first } from "./page";

const SOON_SECONDS = 60;

export function minutesText(pattern: string, seconds: number, language: string): string {
  const minutes = Math.max(1, Math.ceil(seconds / 60));
  const unit = new Intl.NumberFormat(language, {
    style: "unit",
    unit: "minute",
    unitDisplay: "long",
  });
  return pattern.replace("{}", unit.format(minutes));
}

export function startCountdown(time: HTMLElement): void {
  const left = first("[data-su-left]", time);
  const live = first("[data-su-live]", time);
  const pattern = first<HTMLTemplateElement>("[data-su-pattern]", time);
  const soon = first<HTMLTemplateElement>("[data-su-soon]", time);
  if (!left || !live || !pattern || !soon) return;
  // Counted from the clock and not in ticks: a phone that slept must not show old time.
  const end = Date.now() + Number(time.dataset.suCountdown) * 1000;
  const timer = setInterval(() => {
    const seconds = (end - Date.now()) / 1000;
    if (seconds > SOON_SECONDS) {
      const text = pattern.content.textContent ?? "{}";
      left.textContent = minutesText(text, seconds, document.documentElement.lang);
      return;
    }
    left.hidden = true;
    live.textContent = soon.content.textContent;
    clearInterval(timer);
  }, 1000);
}
