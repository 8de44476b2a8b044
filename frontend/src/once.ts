// A form is sent once: a second click on the way would only meet a spent attempt.

export function submitOnce(form: HTMLFormElement): void {
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    if (form.dataset.suSent) {
      event.preventDefault();
      return;
    }
    form.dataset.suSent = "1";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
  });
  // A page that comes back out of the browser's cache was not sent from here.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    delete form.dataset.suSent;
    for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-busy");
  });
}
