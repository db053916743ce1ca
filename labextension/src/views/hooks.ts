// Models that live as long as the view that looks at them.

import { useEffect, useState } from 'react';
import { LogModel } from '../logview/core/model.js';
import { createLogSource } from '../logview/core/source.js';
import { RunModel } from '../models/run.js';
import type { IViewContext } from './context.js';

/** A model that is made when the view appears and disposed when it goes; null before. */
export function useOwned<T extends { dispose(): void }>(make: () => T): T | null {
  const [owned, setOwned] = useState<T | null>(null);
  useEffect(() => {
    const made = make();
    setOwned(made);
    return () => made.dispose();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- views are drawn with a key of what they show
  }, []);
  return owned;
}

/** The run, kept current. */
export function useRunModel(runId: string, context: IViewContext): RunModel | null {
  const model = useOwned(() => new RunModel(runId, context.api, context.stream));
  const { onSeed } = context;
  useEffect(() => {
    if (model !== null && onSeed !== null) {
      return onSeed(({ run }) => run?.id === model.runId && model.accept(run));
    }
  }, [model, onSeed]);
  return model;
}

/** Its log, followed from the end on. */
export function useLogModel(runId: string, context: IViewContext): LogModel | null {
  return useOwned(() => {
    const log = new LogModel(createLogSource(runId, context.api, context.stream));
    void log.open();
    return log;
  });
}
