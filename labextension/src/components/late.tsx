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
  // React keeps this state when another tab draws another part in the same place.
  const [found, setFound] = useState<IFound<T> | null>(null);
  useEffect(() => {
    let isCurrent = true;
    const tell = (part: ComponentType<T> | null): void => {
      if (isCurrent) {
        setFound({ by: load, part });
      }
    };
    load().then(tell, () => tell(null));
    return () => {
      isCurrent = false;
    };
  }, [load]);
  const isDone = found?.by === load;
  if (!isDone && props.isQuiet) {
    return <></>;
  }
  if (!isDone || found.part === null) {
    return (
      <p className="jp-MelleaRun-message" role={isDone ? 'alert' : undefined}>
        {isDone
          ? props.with.trans.__('This part of the page could not be loaded. Reload the page.')
          : props.with.trans.__('Loading…')}
      </p>
    );
  }
  return <found.part {...props.with} />;
}

interface IFound<T> {
  by: unknown;
  /** Null: it could not be loaded. */
  part: ComponentType<T> | null;
}
