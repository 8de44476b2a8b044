// Codes are pasted in groups; the field's pattern would refuse what the server reads well.

const SEPARATORS = /[\s\u2010-\u2015-]+/g;

export function joinGroups(field: HTMLInputElement): void {
  field.addEventListener("input", () => {
    const joined = field.value.replace(SEPARATORS, "");
    // Only when something goes: setting the value moves the caret to its end.
    if (joined !== field.value) field.value = joined;
  });
}
