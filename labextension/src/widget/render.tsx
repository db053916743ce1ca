// The anywidget: the views where our JupyterLab extension is not (VS Code, Colab, another lab).
// `react` is preact here; see scripts/widget.mjs.

import { useEffect, useMemo, useState, type ReactElement } from 'react';
import { createRoot } from 'react-dom/client';
import { RunsApi } from '../api/rest.js';
import { RunsStream } from '../api/stream.js';
import type { ISeed, IViewContext } from '../views/context.js';
import { View } from '../views/index.js';
import { parseView } from '../views/spec.js';
import { CommTransport, type ICommModel } from './comm.js';
import { WidgetCommands } from './commands.js';
import { texts } from './texts.js';

/** A widget's model whose state changes here, too. */
export interface IWidgetModel extends ICommModel {
  set(name: string, value: unknown): void;
  save_changes(): void;
}

/** Draws the widget; what it returns takes it away. */
export function render({ model, el }: { model: IWidgetModel; el: HTMLElement }): () => void {
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
  model: IWidgetModel;
  transport: CommTransport;
  stream: RunsStream;
}

function Widget({ model, transport, stream }: IWidgetProps): ReactElement {
  const [spec, setSpec] = useState(() => parseView(model.get('spec')));
  useEffect(() => {
    const read = (): void => setSpec(parseView(model.get('spec')));
    model.on('change:spec', read);
    return () => model.off('change:spec', read);
  }, [model]);
  const context = useMemo(
    () => createContext(model, transport, stream),
    [model, transport, stream]
  );
  return spec === null ? (
    <p>{texts.__('This view is of another version of mellea-jupyter. Run the cell again.')}</p>
  ) : (
    <View spec={spec} context={context} />
  );
}

function createContext(
  model: IWidgetModel,
  transport: CommTransport,
  stream: RunsStream
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
      onRetry: (runId, retry) => {
        const spec = parseView(model.get('spec'));
        if (spec?.view === 'run' && spec.run_id === runId) {
          // In the model, since the output is drawn anew when the kernel has seen the first run end.
          model.set('spec', { ...spec, run_id: retry.id });
          model.save_changes();
        }
      }
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
    loadLoops: () => transport.loadModule(),
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
