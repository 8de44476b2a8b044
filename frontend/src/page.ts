// Finding things in the page that the server rendered.

export function first<T extends Element = HTMLElement>(
  selector: string,
  within: ParentNode = document,
): T | null {
  return within.querySelector<T>(selector);
}

export function all<T extends Element = HTMLElement>(selector: string): T[] {
  return [...document.querySelectorAll<T>(selector)];
}

// Data travels in a JSON block, which the content security policy lets us read and nobody run.
export function data<T>(selector: string): T | null {
  const block = first(selector);
  return block ? (JSON.parse(block.textContent ?? "null") as T | null) : null;
}
