// A comparison with its model, which lives as long as it is shown.

import { useEffect, useState, type ReactElement } from 'react';
import type { Compared } from '../../models/comparison.js';
import { CompareBody } from './body.js';
import type { ICompareOptions } from './index.js';
import { CompareModel } from './model.js';

/** Runs side by side, kept current. */
export function CompareContent(props: ICompareOptions & { compared: Compared }): ReactElement {
  const { compared, api, stream, commands, trans } = props;
  const [model, setModel] = useState<CompareModel | null>(null);
  useEffect(() => {
    const made = new CompareModel(compared, api, stream);
    setModel(made);
    return () => made.dispose();
  }, [compared, api, stream]);
  return model === null ? <></> : <CompareBody model={model} commands={commands} trans={trans} />;
}
