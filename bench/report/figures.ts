// How figures are written: three significant digits (what such measurements carry), never a made-up zero for what is not known.

/** What stands where there is no figure. */
export const NONE = "-";

/** Three significant digits without an exponent; at most four decimals. */
export function figure(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return NONE;
  if (value === 0) return "0";
  const size = Math.abs(value);
  const decimals = Math.min(4, Math.max(0, 2 - Math.floor(Math.log10(size))));
  const text = value.toFixed(decimals);
  // 0.9996 is rounded to 1.000: a digit too many.
  return Math.abs(Number(text)) >= 10 ** (Math.floor(Math.log10(size)) + 1) ? value.toFixed(Math.max(0, decimals - 1)) : text;
}

/** Microseconds as milliseconds. Below a microsecond nothing is told apart, so three decimals at most. */
export function milliseconds(us: number | null): string {
  if (us === null || !Number.isFinite(us)) return NONE;
  const ms = us / 1000;
  return Math.abs(ms) < 10 ? ms.toFixed(3) : figure(ms);
}

/** Whole numbers with groups of three: `1 234 567`, no-break spaces. */
export function count(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return NONE;
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, "\u00a0");
}

/** A share 0..1. */
export function percent(share: number | null, decimals = 0): string {
  return share === null || !Number.isFinite(share) ? NONE : `${(share * 100).toFixed(decimals)}\u00a0%`;
}

/** Units of 1024 bytes as MB (1024 x 1024). */
export function megabytes(kb: number | null): string {
  return kb === null ? NONE : figure(kb / 1024);
}

/** `0.101 (0.095 to 0.110)`; without an interval the figure alone. */
export function withInterval(
  value: string,
  interval: { readonly low: number; readonly high: number } | null,
  write: (value: number) => string,
): string {
  return interval === null ? value : `${value} (${write(interval.low)} to ${write(interval.high)})`;
}

/** A name that may stand in an address, an attribute or a file name. */
export function slug(text: string): string {
  return text
    .replace(/[^a-z0-9]+/gi, "-")
    .replace(/^-|-$/g, "")
    .toLowerCase();
}

/** `2026-11-22 08:30 UTC`. */
export function moment(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}

/** `1 h 02 min`, `3 min 20 s`, `45 s`. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
  return seconds >= 60 ? `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s` : `${seconds} s`;
}
