// In the place of a run that can not be shown: why, and the snapshot that was saved with it.

import { useEffect, useRef, type ReactElement } from 'react';
import { ApiError } from '../api/rest.js';
import { useSignal } from '../components/hooks.js';
import type { RunModel } from '../models/run.js';
import type { IViewContext } from './context.js';

/** Before the run was read, and when it can not be. */
export function NoRun(props: { model: RunModel | null; context: IViewContext }): ReactElement {
  const { model, context } = props;
  return model === null ? <Loading context={context} /> : <Why model={model} context={context} />;
}

function Why({ model, context }: { model: RunModel; context: IViewContext }): ReactElement {
  const { trans } = context;
  useSignal(model.changed);
  const { error } = model;
  if (error === null) {
    return <Loading context={context} />;
  }
  const isGone = error instanceof ApiError && error.status === 404;
  return (
    <div>
      <p className="jp-MelleaView-note" role="status">
        {isGone
          ? trans.__('This server has no record of the run.')
          : trans.__('The run can not be read: %1', error.message)}{' '}
        {context.drawSnapshot !== null && trans.__('Below is what was saved with the notebook.')}{' '}
        <button
          type="button"
          className="jp-MelleaButton jp-mod-link"
          onClick={() => void model.refresh()}
        >
          {trans.__('Try again')}
        </button>
      </p>
      {context.drawSnapshot !== null && <Snapshot draw={context.drawSnapshot} />}
    </div>
  );
}

function Loading({ context }: { context: IViewContext }): ReactElement {
  return <p className="jp-MelleaView-note">{context.trans.__('Loading…')}</p>;
}

function Snapshot({ draw }: { draw: (host: HTMLElement) => () => void }): ReactElement {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => (host.current === null ? undefined : draw(host.current)), [draw]);
  return <div ref={host} />;
}
