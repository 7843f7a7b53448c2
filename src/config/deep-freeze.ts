// Freezes plain data all the way down, so that a snapshot that everybody holds cannot change under anybody.

/** Freezes the value and everything in it; returns it. For trees of plain objects and arrays only. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
