// Parts of the page that are loaded when they are first shown.

import { useEffect, useState, type ComponentType, type ReactElement } from 'react';
import type { ITranslation } from '../format.js';

/** Draws what `load` gives, with the other properties, once it is there. */
export function Late<T extends { trans: ITranslation }>(props: {
  /** The same function at each drawing. */
  load: () => Promise<ComponentType<T>>;
  with: T;
  /** Whether nothing is shown while it loads: for what stands above the rest of a page. */
  isQuiet?: boolean;
}): ReactElement {
  const { load } = props;
  const [Loaded, setLoaded] = useState<ComponentType<T> | null>(null);
  const [isMissing, setMissing] = useState(false);
  useEffect(() => {
    let isCurrent = true;
    load().then(
      found => isCurrent && setLoaded(() => found),
      () => isCurrent && setMissing(true)
    );
    return () => {
      isCurrent = false;
    };
  }, [load]);
  if (Loaded === null && props.isQuiet && !isMissing) {
    return <></>;
  }
  if (Loaded === null) {
    return (
      <p className="jp-MelleaRun-message" role={isMissing ? 'alert' : undefined}>
        {isMissing
          ? props.with.trans.__('This part of the page could not be loaded. Reload the page.')
          : props.with.trans.__('Loading…')}
      </p>
    );
  }
  return <Loaded {...props.with} />;
}
