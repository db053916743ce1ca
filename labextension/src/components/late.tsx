// Parts of the page that are loaded when they are first shown.

import { useEffect, useState, type ComponentType, type ReactElement } from 'react';
import type { ITranslation } from '../format.js';
import { describeError } from './errors.js';

/** Draws what `load` gives, with the other properties, once it is there. */
export function Late<T extends { trans: ITranslation }>(props: {
  /** The same function at each drawing. */
  load: () => Promise<ComponentType<T>>;
  with: T;
}): ReactElement {
  const { load } = props;
  const [Loaded, setLoaded] = useState<ComponentType<T> | null>(null);
  const [error, setError] = useState('');
  useEffect(() => {
    let isCurrent = true;
    load().then(
      found => isCurrent && setLoaded(() => found),
      (failure: Error) => isCurrent && setError(describeError(failure))
    );
    return () => {
      isCurrent = false;
    };
  }, [load]);
  if (Loaded === null) {
    return (
      <p className="jp-MelleaRun-message" role={error ? 'alert' : undefined}>
        {error || props.with.trans.__('Loading…')}
      </p>
    );
  }
  return <Loaded {...props.with} />;
}
