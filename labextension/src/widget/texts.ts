// The widget's texts: as they are written. `%1` of `_n` is the count, as in JupyterLab.

import type { ITranslation } from '../format.js';

/** No translation. */
export const texts: ITranslation = {
  __: (text, ...values) => fill(text, values),
  _n: (singular, plural, count, ...values) =>
    fill(count === 1 ? singular : plural, [count, ...values])
};

function fill(text: string, values: readonly unknown[]): string {
  return text.replace(/%(\d)/g, (whole, index) => {
    const value = values[Number(index) - 1];
    return value === undefined ? whole : String(value);
  });
}
