// How numbers, money and times read. Pure; `now` is passed in.

/** What the formatters need of a translation bundle. */
export interface ITranslation {
  /** `%1`, `%2` … in the text stand for the values. */
  __(text: string, ...values: unknown[]): string;
  /** `%1` stands for the count, `%2` … for the values. */
  _n(singular: string, plural: string, count: number, ...values: unknown[]): string;
}

const THIN = '\u202f'; // narrow no-break space

/** `1 204`: groups of three with a narrow space. */
export function formatNumber(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** `850 ms`, `3.2 s`, `4 m 12 s`, `2 h 05 m`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 1) {
    return `${Math.round(milliseconds > 0 ? milliseconds : 0)}${THIN}ms`;
  }
  if (seconds < 10) {
    return `${(Math.floor(seconds * 10) / 10).toFixed(1)}${THIN}s`;
  }
  const whole = Math.floor(seconds);
  if (whole < 60) {
    return `${whole}${THIN}s`;
  }
  if (whole < 3600) {
    return `${Math.floor(whole / 60)}${THIN}m ${whole % 60}${THIN}s`;
  }
  const minutes = Math.floor((whole % 3600) / 60);
  return `${Math.floor(whole / 3600)}${THIN}h ${String(minutes).padStart(2, '0')}${THIN}m`;
}

/** `$0.42`, `$0.0041`: at least two significant digits; `$0` only for nothing at all. */
export function formatMoney(usd: number): string {
  if (usd === 0) {
    return '$0.00';
  }
  if (Math.abs(usd) >= 0.1) {
    return `$${usd.toFixed(2)}`;
  }
  const digits = Math.min(8, 1 - Math.floor(Math.log10(Math.abs(usd))));
  return `$${usd.toFixed(digits)}`;
}

/** A cost with what is not in it: `≥ $0.12` where calls are unpriced, `unpriced` where all are. */
export function formatCost(usd: number | null, unpricedCalls: number, trans: ITranslation): string {
  if (usd === null) {
    return trans.__('unpriced');
  }
  return unpricedCalls > 0 ? `≥${THIN}${formatMoney(usd)}` : formatMoney(usd);
}

/** `1 204 tok`. */
export function formatTokens(tokens: number, trans: ITranslation): string {
  return `${formatNumber(tokens)}${THIN}${trans.__('tok')}`;
}

/** `61 MB`, `1.5 kB`; powers of 1000, as file browsers show sizes. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const text = unit === 0 || value >= 99.5 ? value.toFixed(0) : value.toFixed(1);
  return `${text.replace(/\.0$/, '')}${THIN}${units[unit]}`;
}

/** `93.5 %`. */
export function formatPercent(share: number): string {
  return `${(share * 100).toFixed(1).replace(/\.0$/, '')}${THIN}%`;
}

/** `just now`, `12 s ago`, `4 min ago`, `3 h ago`, `2 d ago`, then the date. */
export function formatAgo(iso: string, now: number, trans: ITranslation): string {
  const seconds = Math.round((now - Date.parse(iso)) / 1000);
  if (seconds < 5) {
    return trans.__('just now');
  }
  if (seconds < 60) {
    return trans.__('%1 s ago', seconds);
  }
  if (seconds < 3600) {
    return trans.__('%1 min ago', Math.floor(seconds / 60));
  }
  if (seconds < 86_400) {
    return trans.__('%1 h ago', Math.floor(seconds / 3600));
  }
  if (seconds < 7 * 86_400) {
    return trans.__('%1 d ago', Math.floor(seconds / 86_400));
  }
  return new Date(iso).toLocaleDateString();
}

/** The exact time, local and UTC, for hovering. */
export function formatExact(iso: string): string {
  return `${new Date(iso).toLocaleString()} (${iso})`;
}

/** `14:03:12.250`, local. */
export function formatClock(iso: string): string {
  const moment = new Date(iso);
  const pad = (value: number, width = 2) => String(value).padStart(width, '0');
  return (
    `${pad(moment.getHours())}:${pad(moment.getMinutes())}:${pad(moment.getSeconds())}` +
    `.${pad(moment.getMilliseconds(), 3)}`
  );
}

/** The local day of a time: `Today`, `Yesterday`, or the date. */
export function formatDay(iso: string, now: number, trans: ITranslation): string {
  const midnight = new Date(now);
  midnight.setHours(0, 0, 0, 0);
  const moment = Date.parse(iso);
  if (moment >= midnight.getTime()) {
    return trans.__('Today');
  }
  midnight.setDate(midnight.getDate() - 1);
  return moment >= midnight.getTime()
    ? trans.__('Yesterday')
    : new Date(iso).toLocaleDateString(undefined, { dateStyle: 'full' });
}

/** The first moment of the local day, ISO 8601. */
export function startOfToday(now: number): string {
  const midnight = new Date(now);
  midnight.setHours(0, 0, 0, 0);
  return midnight.toISOString();
}
