// The anywidget: the views where our JupyterLab extension is not (VS Code, Colab, another lab).
// `react` is preact here; see scripts/widget.mjs.

import { useMemo, useState, type ReactElement } from 'react';
import { createRoot } from 'react-dom/client';
import { RunsApi } from '../api/rest.js';
import { RunsStream } from '../api/stream.js';
import type { ISeed, IViewContext } from '../views/context.js';
import { View } from '../views/index.js';
import { parseView, type ViewSpec } from '../views/spec.js';
import { CommTransport, type ICommModel } from './comm.js';
import { WidgetCommands } from './commands.js';
import { texts } from './texts.js';

/** Draws the widget; what it returns takes it away. */
export function render({ model, el }: { model: ICommModel; el: HTMLElement }): () => void {
  const transport = new CommTransport(model);
  const stream = new RunsStream({
    openSocket: () => transport.openSocket(),
    setTimeout: (callback, milliseconds) => window.setTimeout(callback, milliseconds),
    clearTimeout: handle => window.clearTimeout(handle),
    random: Math.random
  });
  const host = document.createElement('div');
  host.className = isJupyter() ? 'jp-MelleaWidget' : 'jp-MelleaWidget jp-mod-standalone';
  el.append(host);
  const root = createRoot(host);
  root.render(<Widget model={model} transport={transport} stream={stream} />);
  return () => {
    root.unmount();
    stream.dispose();
    transport.dispose();
    host.remove();
  };
}

interface IWidgetProps {
  model: ICommModel;
  transport: CommTransport;
  stream: RunsStream;
}

function Widget({ model, transport, stream }: IWidgetProps): ReactElement {
  const [spec, setSpec] = useState(() => parseView(model.get('spec')));
  const context = useMemo(
    () => createContext(model, transport, stream, setSpec),
    [model, transport, stream]
  );
  return spec === null ? (
    <p>{texts.__('This view is of another version of mellea-jupyter. Run the cell again.')}</p>
  ) : (
    <View spec={spec} context={context} />
  );
}

function createContext(
  model: ICommModel,
  transport: CommTransport,
  stream: RunsStream,
  show: (change: (spec: ViewSpec | null) => ViewSpec | null) => void
): IViewContext {
  const api = new RunsApi(transport);
  const listeners = new Set<(seed: ISeed) => void>();
  const tell = (seed: ISeed): void => listeners.forEach(listener => listener(seed));
  const prefix = model.get('run_link');
  const linkOf =
    typeof prefix === 'string' && prefix !== '' ? (runId: string) => prefix + runId : null;
  return {
    api,
    stream,
    commands: new WidgetCommands({
      api,
      linkOf,
      onRun: run => tell({ run }),
      onRetry: (runId, retry) =>
        show(spec =>
          spec?.view === 'run' && spec.run_id === runId ? { ...spec, run_id: retry.id } : spec
        )
    }),
    trans: texts,
    hasLinks: false,
    download: async (runId, artifactId, name) =>
      save(await transport.download(`runs/${runId}/artifacts/${artifactId}`), name),
    linkOf,
    onSeed: listener => {
      const read = (): void => listener((model.get('seed') ?? {}) as ISeed);
      listeners.add(listener);
      model.on('change:seed', read);
      read();
      return () => {
        listeners.delete(listener);
        model.off('change:seed', read);
      };
    },
    drawSnapshot: null
  };
}

/** Let the browser save bytes. The type is none that it would show instead. */
function save(bytes: DataView, name: string): void {
  const blob = new Blob([bytes as DataView<ArrayBuffer>], { type: 'application/octet-stream' });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Whether JupyterLab's colours are there to be used. */
function isJupyter(): boolean {
  return getComputedStyle(document.body).getPropertyValue('--jp-layout-color1') !== '';
}
