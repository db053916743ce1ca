// What a program usually takes, in words.

import type { Forecast, Interval } from '../../api/schema.js';
import { formatDuration, formatMoney, type ITranslation } from '../../format.js';

/** `usually 3.0 s – 5.2 s and $0.0040 – $0.0060, from 12 runs`, or `no history`. */
export function forecastText(forecast: Forecast, trans: ITranslation): string {
  if (forecast.runs === 0 || forecast.duration_ms === null) {
    return trans.__('No history of this program.');
  }
  const parts = [range(forecast.duration_ms, formatDuration)];
  if (forecast.cost_usd !== null) {
    parts.push(range(forecast.cost_usd, formatMoney));
  } else if (forecast.unpriced_runs > 0) {
    parts.push(trans.__('an unknown price'));
  }
  const from = trans._n('from %1 run', 'from %1 runs', forecast.runs);
  const model = forecast.model === null ? '' : ` ${trans.__('with %1', forecast.model)}`;
  return trans.__('Usually %1, %2.', parts.join(` ${trans.__('and')} `), from + model);
}

function range({ low, high }: Interval, format: (value: number) => string): string {
  const [from, to] = [format(low), format(high)];
  return from === to ? from : `${from} – ${to}`;
}
